# doctor: figures for people and for programs.
expect_exit 0 "$LORIKEET" doctor
for name in version cpu instructions best_instructions compute_auto threads memory HDF5 oneDNN cuBLASLt PCRE2 libyaml jansson gpu; do
    grep -qE "^$name +[^ ]" out || fail "doctor says nothing of $name: $(cat out)"
done
expect_exit 0 env LRK_CPU=scalar "$LORIKEET" doctor --json
grep -q '"instructions": "scalar"' out || fail "LRK_CPU=scalar was not used: $(cat out)"
grep -qE '"memory_bytes": [1-9][0-9]+' out || fail "no memory: $(cat out)"

# all that is missing for a GPU, not the first of it
if [ ! -e /proc/driver/nvidia/version ] && ! grep -qsx 0x10de /sys/bus/pci/devices/*/vendor; then
    expect_exit 0 "$LORIKEET" doctor
    grep -qE "^gpu +no NVIDIA card on the bus, no driver" out || fail "doctor says: $(grep '^gpu' out)"
fi
