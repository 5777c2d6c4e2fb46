# tests/faults/files.sh -- hundreds of bad files, of every format, and odd but good ones: files/run.py. START is
# files/start.c.
command -v python3 >/dev/null || skip "python3 is not here"
export SOURCE LORIKEET START PYTHONDONTWRITEBYTECODE=1
python3 "$SOURCE/tests/faults/files/run.py"
