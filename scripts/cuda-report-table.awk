# Rows of cuda-report-names.awk, as a table (mode print), as docs/cuda-resources.md (markdown), compared with
# that file, which comes first then (check), or only what spills (spills). rare: kernels that may.
#
# Occupancy is what registers, shared memory and threads allow, by the limits of the CUDA C++
# Programming Guide, "Technical Specifications per Compute Capability": 65536 registers a processor, given
# out to a warp in units of 256, a quarter of them to each of four partitions.
BEGIN {
    split("80 89 90 100 120", chips, " ")
    split("64 48 64 64 48", most_warps, " ")
    split("32 24 32 32 24", most_blocks, " ")
    split("164 100 228 228 100", shared_kib, " ")
    for (i = 1; i <= 5; i++) place[chips[i]] = i
    split("registers,spilled bytes,stack,shared,threads,occupancy %,tensor,async,load 16,store 16,local", title, ",")
    n_cells = 11
}

# ---- the committed table
mode == "check" && FNR == NR {
    if (match($0, /nvcc [0-9.]+[0-9]/)) table_version = substr($0, RSTART + 5, RLENGTH - 5)
    if (match($0, /machine code [0-9a-f]+,/)) table_sum = substr($0, RSTART + 13, RLENGTH - 14)
    if ($0 ~ /^\| `/) {
        split($0, cell, / *\| */)
        name = cell[2]
        gsub(/`/, "", name)
        parts = split(cell[3], by_chip, "/")
        for (i = 1; i <= 5; i++) allowed[name, chips[i]] = by_chip[parts == 1 ? 1 : i]
        in_table[name] = 1
        if (cell[4] != "0" && name !~ rare) {
            printf "%s: spills %s bytes, says docs/cuda-resources.md\n", name, cell[4]
            bad++
        }
    }
    next
}

# ---- rows
{
    split($0, f, "\t")
    name = f[1]
    chip = f[2]
    if (!(name in seen)) names[++n_names] = name
    seen[name] = 1
    present[chip] = 1
    cells[name, chip, 1] = f[3]
    cells[name, chip, 2] = f[4] + f[5]
    cells[name, chip, 3] = f[6]
    cells[name, chip, 4] = f[7]
    cells[name, chip, 5] = f[8] ? f[8] : "(256)"
    cells[name, chip, 6] = occupancy(place[chip], f[3], f[7], f[8] ? f[8] : 256)
    for (c = 0; c < 5; c++) cells[name, chip, 7 + c] = f[9 + 2 * c] ? f[9 + 2 * c] " (" f[10 + 2 * c] ")" : "0"
}

END {
    if (mode == "print") print_rows()
    if (mode == "markdown") print_markdown()
    if (mode == "spills" || mode == "check") bad += spills()
    if (mode == "check") bad += growth()
    if (mode == "check" && version == table_version && sum != "" && table_sum != sum)
        printf "kernels changed since docs/cuda-resources.md was written (machine code %s, now %s); " \
               "scripts/cuda-report --markdown writes it anew\n", table_sum, sum
    exit bad ? 1 : 0
}

function rounded(x, unit) { return int((x + unit - 1) / unit) * unit }
function least(a, b) { return a < b ? a : b }

function occupancy(i, registers, shared, threads,    warps, blocks) {
    warps = rounded(threads, 32) / 32
    blocks = int(4 * int(16384 / rounded(registers * 32, 256)) / warps)
    blocks = least(blocks, least(most_blocks[i], int(most_warps[i] / warps)))
    blocks = least(blocks, int(shared_kib[i] * 1024 / (rounded(shared, 128) + 1024)))
    return int(100 * blocks * warps / most_warps[i] + 0.5)
}

function print_rows(    i, j, c) {
    printf "%-64s %5s %9s %7s %6s %7s %7s %6s %13s %11s %11s %11s %11s\n", "kernel; in parentheses: inside loops", "chip",
           "registers", "spilled", "stack", "shared", "threads", "occ. %", "tensor", "async", "load 16", "store 16", "local"
    for (i = 1; i <= n_names; i++)
        for (j = 1; j <= 5; j++) {
            if (!((names[i], chips[j], 1) in cells)) continue
            printf "%-64s %5s %9s %7s %6s %7s %7s %6s", names[i], chips[j], cells[names[i], chips[j], 1],
                   cells[names[i], chips[j], 2], cells[names[i], chips[j], 3], cells[names[i], chips[j], 4],
                   cells[names[i], chips[j], 5], cells[names[i], chips[j], 6]
            for (c = 7; c <= n_cells; c++) printf " %*s", c == 7 ? 13 : 11, cells[names[i], chips[j], c]
            printf "\n"
        }
}

# One figure where all chips agree, else one a chip.
function joined(name, c,    j, text, same) {
    same = 1
    for (j = 1; j <= 5; j++) {
        text = text (j > 1 ? "/" : "") cells[name, chips[j], c]
        if (cells[name, chips[j], c] != cells[name, chips[1], c]) same = 0
    }
    return same ? cells[name, chips[1], c] : text
}

function print_markdown(    i, c, line) {
    print "# What the CUDA kernels take"
    print ""
    print "Written by `scripts/cuda-report --markdown`, from nvcc " version " and what it made, for sm_80 the"
    print "machine code " sum ", a sum. No GPU is needed. `scripts/cuda-report --check` fails where a kernel of a"
    print "step spills (all below but `cache` and `rope_table`), or needs more registers than this table says; `.ci/run` looks"
    print "at this one chip while the sum holds, and at all chips where it does not."
    print ""
    print "Several figures in a cell are for sm_80/89/90/100/120. Registers are a thread's; spilled, stack and shared"
    print "(static and dynamic shared memory of a block, the latter where a kernel says it in its name, `lrk_takes` of"
    print "`kernels/cuda.cuh`) are bytes. Threads are the launch bound; (256) where there is none, the largest block that"
    print "such kernels get. Occupancy is what registers, shared memory and threads allow. `experts/choose` takes 9 bytes"
    print "a warp for each expert and group on top, which a model decides. The rest counts instructions, in parentheses"
    print "those inside loops: tensor-core products, asynchronous copies to shared memory, loads and stores of 16 bytes,"
    print "accesses to local memory."
    print ""
    line = "| kernel |"
    for (c = 1; c <= n_cells; c++) line = line " " title[c] " |"
    print line
    line = "|---|"
    for (c = 1; c <= n_cells; c++) line = line "---|"
    print line
    for (i = 1; i <= n_names; i++) {
        line = "| `" names[i] "` |"
        for (c = 1; c <= n_cells; c++) line = line " " joined(names[i], c) " |"
        print line
    }
}

function spills(    i, j, k, n) {
    for (i = 1; i <= n_names; i++)
        for (j = 1; j <= 5; j++) {
            k = names[i] SUBSEP chips[j] SUBSEP 2
            if (!(k in cells) || !cells[k]) continue
            if (names[i] ~ rare) continue
            printf "%s, sm_%s: spills %d bytes. Every step runs it: give a thread less to hold (fewer rows or columns), or the block fewer threads\n", names[i], chips[j], cells[k]
            n++
        }
    return n + 0
}

function growth(    i, j, k, n, checked) {
    if (table_version != version) {
        printf "nvcc is %s, the table was made with %s: registers are not compared\n", version, table_version
        return 0
    }
    for (i = 1; i <= n_names; i++) {
        if (!(names[i] in in_table)) {
            printf "%s: not in docs/cuda-resources.md; scripts/cuda-report --markdown writes it anew, commit it with the kernel\n", names[i]
            n++
            continue
        }
        for (j = 1; j <= 5; j++) {
            k = names[i] SUBSEP chips[j]
            if (!((k, 1) in cells)) continue
            checked++
            if (cells[k, 1] <= allowed[k] + 0) continue
            printf "%s, sm_%s: %d registers, docs/cuda-resources.md allows %d. Where that is meant: scripts/cuda-report --markdown, and commit it with the reason\n", names[i], chips[j], cells[k, 1], allowed[k]
            n++
        }
    }
    if (whole == "")
        for (name in in_table)
            if (!(name in seen)) {
                printf "%s: in docs/cuda-resources.md, but no kernel of that name is built; scripts/cuda-report --markdown writes it anew\n", name
                n++
            }
    if (!n) printf "%d kernels, %d counts of registers: none past the table\n", n_names, checked
    return n + 0
}
