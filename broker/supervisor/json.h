/*
 * The few pieces of JSON that the status file is made of. What the process table, the policy and the frozen
 * page hold are names and sentences, and nothing is trusted to be clean.
 *
 * Trust: in = PEER (any bytes); out = CHECKED; called by = supervisor
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

/* A string; what is no UTF-8 becomes question marks. */
void bh_json_string(FILE *out, const char *text, size_t len);
void bh_json_text(FILE *out, const char *text);

/* "name": "value", and the comma behind it. */
void bh_json_member(FILE *out, const char *name, const char *value);
