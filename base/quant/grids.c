/* base/quant/grids.c -- the codebooks of the IQ types. */
#include "base/quant/blocks.h"

#define LRK_VALUES(type, name, n, ...) const type name[n] = {__VA_ARGS__};
#include "base/quant/grids.def"
