/* train/comm.c -- one rank: its sums are the totals. */
#include "train/comm.h"

double lrk_comm_share(size_t trained)
{
    return 1.0 / (double)trained;
}

const lrk_tensor *lrk_comm_gradients(const lrk_engine *e)
{
    return &e->model.gradients;
}

double lrk_comm_mean(double loss, uint64_t trained)
{
    return trained ? loss / (double)trained : 0.0;
}
