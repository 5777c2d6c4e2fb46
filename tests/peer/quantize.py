"""Our quantized GGUF files beside llama.cpp's own quantizer on the same model.

usage: quantize.py LORIKEET NODE_MODULES MODEL SHAPE TYPES...
MODEL: a GGUF file of F32, F16 or BF16. SHAPE: "-" for the model as it is; else "layers,key_heads", for one with so many
layers and so many key heads, made of the rows that are there: weights of its first two layers, again from the third on,
where seven of eight rows are zeros, which take no search; a third part "tied" leaves out the head. For each type,
"q4_k_m" and the like, llama.cpp's llama_model_quantize and `lorikeet merge --dtype` each write a file: the same type for
every tensor, the same bytes in it, and the same general.file_type.
"""
import ctypes
import os
import subprocess
import sys

import gguf
import numpy as np
import unmapped  # noqa: F401

FILE_TYPES = {"q4_0": 2, "q4_1": 3, "q8_0": 7, "q5_0": 8, "q5_1": 9, "q2_k": 10, "q3_k_s": 11,
              "q3_k_m": 12, "q3_k_l": 13, "q4_k_s": 14, "q4_k_m": 15, "q5_k_s": 16, "q5_k_m": 17,
              "q6_k": 18, "iq4_nl": 25, "iq4_xs": 30, "f16": 1, "bf16": 32}


class Params(ctypes.Structure):
    """The head of llama_model_quantize_params; the rest keeps its defaults."""
    _fields_ = [("nthread", ctypes.c_int32), ("ftype", ctypes.c_int),
                ("rest", ctypes.c_uint8 * 4096)]


def load(modules):
    bins = os.path.join(modules, "@node-llama-cpp", "linux-x64", "bins", "linux-x64")
    last = None
    for start in ("libggml-base", "libggml.", "libllama."):
        for name in sorted(os.listdir(bins)):
            if name.startswith(start):
                last = ctypes.CDLL(os.path.join(bins, name), mode=ctypes.RTLD_GLOBAL)
    last.llama_model_quantize_default_params.restype = Params
    last.llama_model_quantize.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p]
    return last


class Reader(gguf.GGUFReader):
    """Steps over a list of texts: gguf makes several arrays of each of a vocabulary's."""

    def _get_field_parts(self, start, kind):
        texts = gguf.GGUFValueType.STRING
        if kind != gguf.GGUFValueType.ARRAY or self._get(start, np.uint32)[0] != texts:
            return super()._get_field_parts(start, kind)
        end = start + 12
        for _ in range(int(self._get(start + 4, np.uint64)[0])):
            end += 8 + int.from_bytes(self.data[end:end + 8].tobytes(), "little")
        return end - start, [], [], [gguf.GGUFValueType(kind), texts]


def compare(ours, theirs):
    a, b = Reader(ours), Reader(theirs)
    bad = []
    for key in ("general.file_type", "general.quantization_version"):
        if a.fields[key].parts[-1][0] != b.fields[key].parts[-1][0]:
            bad.append(key)
    want = {t.name: t for t in b.tensors}
    if sorted(want) != sorted(t.name for t in a.tensors):
        bad.append("names")
    for t in a.tensors:
        w = want.get(t.name)
        if w is None or t.tensor_type != w.tensor_type:
            bad.append(f"{t.name}: {t.tensor_type.name}, not {w.tensor_type.name if w else None}")
        elif t.data.tobytes() != w.data.tobytes():
            bad.append(f"{t.name}: bytes of {t.tensor_type.name}")
    return bad, len(a.tensors)


def some_rows(data, first):
    part = np.zeros_like(data)
    part[first::8] = data[first::8]
    return part


def reshape(model, shape, out):
    """The mixes depend on the number of layers and of key heads, the head on tying."""
    layers, key_heads = (int(v) for v in shape.split(",")[:2])
    reader = gguf.GGUFReader(model)
    writer = gguf.GGUFWriter(out, "llama")
    heads = int(reader.fields["llama.attention.head_count"].parts[-1][0])
    for key, f in reader.fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        value = f.contents()
        if key == "llama.block_count":
            value = layers
        if key == "llama.attention.head_count_kv":
            value = key_heads
        if f.types[0] == gguf.GGUFValueType.ARRAY:
            writer.add_array(key, value)
        else:
            writer.add_key_value(key, value, f.types[0])
    tensors = {t.name: t.data for t in reader.tensors}
    for name, data in tensors.items():
        if not name.startswith("blk."):
            if name != "output.weight" or "tied" not in shape:
                writer.add_tensor(name, data)
            continue
        _, number, part = name.split(".", 2)
        if part in ("attn_k.weight", "attn_v.weight"):
            width = data.shape[1]
            data = np.resize(data, (width // heads * key_heads, width))
        for i in range(int(number), layers, 2):
            writer.add_tensor(f"blk.{i}.{part}", data if i < 2 or data.ndim < 2 else some_rows(data, i % 8))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    lorikeet, modules, model, shape = sys.argv[1:5]
    lib, failed = load(modules), 0
    if shape != "-":
        reshape(model, shape, "shaped.gguf")
        model = "shaped.gguf"
    for kind in sys.argv[5:]:
        params = lib.llama_model_quantize_default_params()
        params.ftype = FILE_TYPES[kind]
        if lib.llama_model_quantize(model.encode(), b"theirs.gguf", ctypes.byref(params)):
            raise SystemExit(f"llama.cpp does not write {kind}")
        subprocess.run([lorikeet, "merge", "--model", model, "--out", "ours.gguf", "--dtype", kind],
                       check=True, stdout=subprocess.DEVNULL)
        bad, n = compare("ours.gguf", "theirs.gguf")
        print(f"{kind}: {n} tensors, {len(bad)} differ", *bad[:5], sep="\n    " if bad else " ")
        failed += bool(bad)
        os.remove("ours.gguf")
        os.remove("theirs.gguf")
    return failed


if __name__ == "__main__":
    sys.exit(main())
