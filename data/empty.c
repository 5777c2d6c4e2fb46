/* placeholder until the first file of this folder lands */
typedef int lrk_data_empty;
