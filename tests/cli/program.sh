# The program itself: help, unknown commands and options, exit codes, output that cannot be written.

expect_exit 0 "$LORIKEET" --help
listed=$(sed -n 's/^  \([a-z]*\)  .*/\1/p' out | grep -v lorikeet || true)
[ -n "$listed" ] || fail "--help lists no command"
expect_exit 0 "$LORIKEET" --version
grep -qE '^lorikeet [0-9]+\.[0-9]+\.[0-9]+$' out || fail "--version printed $(cat out)"

for command in $listed; do
    expect_exit 0 "$LORIKEET" "$command" --help
    grep -q "lorikeet $command" out || fail "$command --help shows no usage"
    grep -qi "example" out || fail "$command --help has no example"
    [ ! -s err ] || fail "$command --help wrote to standard error"
    expect_error 2 "--no-such-option" "$LORIKEET" "$command" --no-such-option x y z
done

# --json wherever something is printed that a program might read; render's output is the text itself
for command in $listed 'data import' 'data show' 'data check' 'recipe schema' 'recipe check' 'recipe explain'; do
    case $command in data | recipe | render) continue ;; esac
    expect_exit 0 "$LORIKEET" $command --help
    grep -q -- --json out || fail "$command --help knows no --json"
    grep -qi example out || fail "$command --help has no example"
done

expect_error 2 "a command is missing" "$LORIKEET"
expect_error 2 "recipee: unknown command, did you mean recipe?" "$LORIKEET" recipee
expect_exit 0 "$LORIKEET" help
grep -q '^usage: lorikeet COMMAND' out || fail "help: $(cat out)"
expect_exit 0 "$LORIKEET" help train
grep -q '^usage: lorikeet train' out || fail "help train: $(cat out)"
expect_error 2 "qqqqqqqq: unknown command; lorikeet --help" "$LORIKEET" qqqqqqqq
expect_error 2 "LRK_CPU" env LRK_CPU=sse9 "$LORIKEET" --version

if [ -w /dev/full ]; then
    got=0
    "$LORIKEET" --help >/dev/full 2>err || got=$?
    [ "$got" = 4 ] || fail "full device: exit $got, expected 4"
    grep -q "standard output: No space left" err || fail "full device: $(cat err)"
fi
got=0
"$LORIKEET" --help >&- 2>err || got=$?
[ "$got" = 4 ] || fail "closed standard output: exit $got, expected 4"

# a reader that leaves: the program ends as one that the signal ends, without a word
{ sleep 0.3; got=0; "$LORIKEET" --help 2>err || got=$?; echo "$got" >rc; } | true
[ "$(cat rc)" = 141 ] && [ ! -s err ] || fail "closed pipe: exit $(cat rc), $(cat err)"
