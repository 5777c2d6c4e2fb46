# cublaslt: the real library opens and has every function that GPU products call; no GPU is needed.
[ -z "${CUBLAS:-}" ] || export LD_LIBRARY_PATH="$CUBLAS/lib:$CUBLAS/lib64:${LD_LIBRARY_PATH:-}"
expect_exit 0 "$LORIKEET" doctor
version=$(sed -nE 's/^cuBLASLt +//p' out)
if [ "$version" = none ]; then
    echo "skipped: the program has no GPU kernels, or cuBLASLt is not where the loader looks"
    exit 77
fi
[[ $version =~ ^1[2-9]\.[0-9]+\.[0-9]+$ ]] || fail "the version of cuBLASLt is '$version'"
