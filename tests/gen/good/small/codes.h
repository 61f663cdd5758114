/* Generated from protocol/schema.json: the numbers of errors. Do not edit. */
#pragma once

#include "protocol/wire/code.h"

enum bh_error_code {
    BH_E_BROKEN = 1001,
};
