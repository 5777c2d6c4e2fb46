# base/dtype.def, then rows of cuda-report.awk with their names demangled: a short name in front, as
# attention/attention_dq<tensor_cores<64,2,64>>, then chip and figures. A template argument lrk_takes<n>
# (kernels/cuda.cuh) is dynamic shared memory: it leaves the name and is added to the static.
BEGIN { FS = OFS = "\t" }
FNR == NR {
    if (match($0, /"[a-z0-9_]+"/)) dtype[n_dtypes++] = substr($0, RSTART + 1, RLENGTH - 2)
    next
}
{
    split($1, path, "/")
    name = $3
    sub(/^void /, "", name)
    name = without_parameters(name)
    while (match(name, /\(lrk_dtype\)[0-9]+/)) {
        number = substr(name, RSTART + 11, RLENGTH - 11)
        name = substr(name, 1, RSTART - 1) dtype[number] substr(name, RSTART + RLENGTH)
    }
    gsub(/\([a-z_]+\)/, "", name)
    gsub(/lrk_bf16/, "bf16", name)
    gsub(/unsigned char/, "u8", name)
    gsub(/unsigned short/, "u16", name)
    gsub(/unsigned int/, "u32", name)
    gsub(/float/, "f32", name)
    gsub(/, /, ",", name)
    gsub(/ >/, ">", name)
    if (match(name, /,lrk_takes<[0-9]+>/)) {
        $8 += substr(name, RSTART + 11, RLENGTH - 12)
        name = substr(name, 1, RSTART - 1) substr(name, RSTART + RLENGTH)
    }
    row = (path[1] == "kernels" ? path[2] : path[1]) "/" name OFS $2
    for (i = 4; i <= NF; i++) row = row OFS $i
    print row
}

# Cuts at the first parenthesis outside of template arguments.
function without_parameters(name,    i, c, depth) {
    for (i = 1; i <= length(name); i++) {
        c = substr(name, i, 1)
        if (c == "<") depth++
        if (c == ">") depth--
        if (c == "(" && !depth) return substr(name, 1, i - 1)
    }
    return name
}
