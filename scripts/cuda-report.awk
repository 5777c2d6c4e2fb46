# The compiler's log of one file (ptxas -v), then nvdisasm's listing of it for one chip: a line for each kernel,
#   file chip name registers spill_stores spill_loads stack shared threads, then for the whole kernel
#   and for what lies inside its loops: tensor-core instructions, asynchronous copies, 128-bit loads
#   and stores of global memory, local-memory accesses.
# Inside a loop is an instruction that can be reached from itself: a strongly connected component of the
# graph of basic blocks (Tarjan, SIAM J. Comput. 1972), so that slow paths behind the last EXIT that jump
# back are no loops.
BEGIN { OFS = "\t" }

# ---- ptxas
FNR == NR && /Compiling entry function/ {
    split($0, quoted, "'")
    other = quoted[4] != "sm_" chip
    if (!other) order[++n_kernels] = name = quoted[2]
    next
}
FNR == NR && other { next }
FNR == NR && /Function properties for/ { properties = $NF; next }
FNR == NR && /bytes stack frame/ {
    if (properties == name) { stack[name] = $1; spill_stores[name] = $5; spill_loads[name] = $9 }
    next
}
FNR == NR && /Used [0-9]+ registers/ {
    for (i = 1; i < NF; i++) {
        if ($i == "Used") registers[name] = $(i + 1)
        if ($(i + 1) == "bytes" && $(i + 2) ~ /^smem/) shared[name] = $i
    }
    next
}
FNR == NR { next }

# ---- launch bounds
/^\t\.section\t\.nv\.info\./ { split($2, part, ","); info = substr(part[1], 10) }
/EIATTR_MAX_THREADS/ { bound = 1 }
bound && /\.word/ { # three of them: x, y, z
    threads[info] = (words ? threads[info] : 1) * hex($NF)
    if (++words == 3) bound = words = 0
}

# ---- machine code
/^\t\.section\t\.text\./ { finish(); split($2, part, ","); name = substr(part[1], 7); next }
/^\t\.section\t/ { finish(); name = ""; next }
name == "" { next }
/^\.[A-Za-z_][^ ]*:/ { label = $1; sub(/:$/, "", label); cut = 1; pending[++n_pending] = label; next }
/^ +\/\*[0-9a-f]+\*\// {
    line = $0
    sub(/^ +\/\*[0-9a-f]+\*\/ +/, "", line)
    sub(/^[{ ]+/, "", line)
    guarded = sub(/^@!?U?P[T0-9]+ +/, "", line)
    if (cut || !blocks) {
        blocks++
        n_out[blocks] = 0
        if (blocks > 1 && falls) edge(blocks - 1, blocks)
        for (; n_pending; n_pending--) block_of[pending[n_pending]] = blocks
        cut = 0
    }
    instruction(line, guarded)
}
END {
    finish()
    for (i = 1; i <= n_kernels; i++) {
        k = order[i]
        row = file OFS chip OFS k OFS registers[k] + 0 OFS spill_stores[k] + 0 OFS spill_loads[k] + 0 OFS stack[k] + 0 OFS shared[k] + 0
        row = row OFS threads[k] + 0
        for (c = 1; c <= 5; c++) row = row OFS whole[k, c] + 0 OFS looped[k, c] + 0
        print row
    }
}

function hex(text,    value, i) {
    sub(/.*0x/, "", text)
    value = 0
    for (i = 1; i <= length(text); i++) value = value * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
    return value
}

function kind(op) {
    if (op ~ /^[A-Z]?G?MMA(\.|$)|^[A-Z]GMMA|^UTC[A-Z]*MMA/) return 1
    if (op ~ /^LDGSTS|^UBLKCP|^UTMALDG/) return 2
    if (op ~ /^LDG\..*(128|256)/) return 3
    if (op ~ /^STG\..*(128|256)/) return 4
    if (op ~ /^(LDL|STL)(\.|$)/) return 5
    return 0
}

function instruction(line, guarded,    op, c, rest, target) {
    op = line
    sub(/[ ;].*/, "", op)
    c = kind(op)
    if (c) { whole[name, c]++; inside[blocks, c]++ }
    falls = 1
    if (op ~ /^(BRA|BRX|JMP|JMX|WARPSYNC\.COLLECTIVE|BRA\..*|EXIT|RET|KILL)/) {
        rest = line
        while (op !~ /^RET/ && match(rest, /\.L_[A-Za-z0-9_.$]+/)) {
            target = substr(rest, RSTART, RLENGTH)
            jump_from[++jumps] = blocks
            jump_to[jumps] = target
            rest = substr(rest, RSTART + RLENGTH)
        }
        if (op !~ /^WARPSYNC/ && !guarded && (op !~ /^BRA/ || line ~ /^BRA[.A-Z]* `\(/)) falls = 0
        cut = 1
    }
}

function edge(from, to) { out[from, ++n_out[from]] = to }

# Ends a section: loops, and sums of what lies in them.
function finish(    i, b, c) {
    for (i = 1; i <= jumps; i++)
        if (jump_to[i] in block_of) edge(jump_from[i], block_of[jump_to[i]])
    find_loops()
    for (b = 1; b <= blocks; b++)
        for (c = 1; c <= 5; c++) if (in_loop[b]) looped[name, c] += inside[b, c]
    blocks = jumps = n_pending = cut = falls = 0
    split("", inside); split("", block_of); split("", out); split("", n_out); split("", in_loop)
}

function find_loops(    root, v, w, top, kept, t, going, size) {
    split("", found); split("", low); split("", next_out); split("", on)
    t = top = kept = 0
    for (root = 1; root <= blocks; root++) {
        if (root in found) continue
        work[++top] = root
        while (top) {
            v = work[top]
            if (!(v in found)) { found[v] = low[v] = ++t; stack_of[++kept] = v; on[v] = 1; next_out[v] = 0 }
            going = 0
            while (next_out[v] < n_out[v]) {
                w = out[v, ++next_out[v]]
                if (w == v) in_loop[v] = 1
                if (!(w in found)) { work[++top] = w; going = 1; break }
                if (on[w] && found[w] < low[v]) low[v] = found[w]
            }
            if (going) continue
            top--
            if (top && low[v] < low[work[top]]) low[work[top]] = low[v]
            if (low[v] != found[v]) continue
            size = 0
            do {
                w = stack_of[kept--]
                on[w] = 0
                component[++size] = w
            } while (w != v)
            if (size > 1)
                for (; size; size--) in_loop[component[size]] = 1
        }
    }
}
