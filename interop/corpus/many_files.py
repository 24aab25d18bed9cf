#!/usr/bin/env python3
"""many_files.py DIR: creates DIR with 150,000 small files, each different, in 1,500 directories; run as root."""

import os
import sys

MTIME = 1_600_000_000
DIRECTORIES, FILES_EACH = 1_500, 100


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        sys.exit(0 if len(sys.argv) == 2 else 2)
    os.umask(0o022)
    os.mkdir(sys.argv[1])
    for directory in range(DIRECTORIES):
        path = os.path.join(sys.argv[1], f"directory-{directory:04d}")
        os.mkdir(path)
        for number in range(FILES_EACH):
            file_path = os.path.join(path, f"file-{number:02d}.txt")
            with open(file_path, "w") as file:
                file.write(f"content of file {number} in directory {directory}\n" * (1 + number % 5))
            os.utime(file_path, (MTIME, MTIME))
        os.utime(path, (MTIME, MTIME))


if __name__ == "__main__":
    main()
