/*
 * Base64, both ways, in pieces, at memory speed: what file contents pass through.
 *
 * Input: A-Z a-z 0-9 + / and =, LF anywhere (Proxmox sends it every 76 characters);
 * strict about the end: the last quantum is complete, padding only there. Output:
 * padded, no line breaks. Vector code where the CPU has it (SSSE3, AVX2), chosen once
 * at start, with the scalar code as the reference that the tests compare it to.
 *
 * Trust: in = HOST (decode), PEER (encode); out = CHECKED; called by = front, bulkheadctl
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* State of a decoder or encoder between pieces: at most one unfinished quantum. Zero-initialise. */
struct bh_base64 {
    uint8_t held[4]; /* decoder: 6-bit values; encoder: bytes */
    uint8_t n_held;
    bool ended; /* decoder: padding was seen */
};

/* Room that a piece of `len` characters can need at most when decoded, and bytes when encoded. */
#define BH_BASE64_DECODED_MAX(len) (((len) + 3) / 4 * 3)
#define BH_BASE64_ENCODED_MAX(len) (((len) + 2) / 3 * 4 + 4)

/* Decodes a piece into `out`. Bytes written, or -EBADMSG on a character that does not belong there. */
long bh_base64_decode(struct bh_base64 *state, const char *text, size_t len, uint8_t *out);
/* 0 if the text may end here, else -EBADMSG. */
int bh_base64_decode_end(const struct bh_base64 *state);

/* Encodes a piece into `out`; characters written. The end writes the last quantum with its padding (0 or 4).
 */
size_t bh_base64_encode(struct bh_base64 *state, const uint8_t *data, size_t len, char *out);
size_t bh_base64_encode_end(struct bh_base64 *state, char *out);
