/* placeholder until the first file of this folder lands */
typedef int lrk_models_empty;
