// Opens a layer with stargz-snapshotter's own library, and compares every file and chunk with its digests.
//
//	judge inline|external|zstd LAYER TOC-DIGEST [TOC]
//
// Prints the number of files and chunks. With --shared several chunks may be in one member, which the library reads,
// but its check of the whole TOC does not accept. With --open the layer is opened, which decodes its TOC, and no more.
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"

	"github.com/containerd/stargz-snapshotter/estargz"
	"github.com/containerd/stargz-snapshotter/estargz/externaltoc"
	"github.com/containerd/stargz-snapshotter/estargz/zstdchunked"
	digest "github.com/opencontainers/go-digest"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "judge:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	shared, only := args[0] == "--shared", args[0] == "--open"
	if shared || only {
		args = args[1:]
	}
	kind, path, want := args[0], args[1], digest.Digest(args[2])
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	var options []estargz.OpenOption
	switch kind {
	case "external":
		provide := func() ([]byte, error) { return os.ReadFile(args[3]) }
		options = append(options, estargz.WithDecompressors(externaltoc.NewGzipDecompressor(provide)))
	case "zstd":
		options = append(options, estargz.WithDecompressors(new(zstdchunked.Decompressor)))
	}
	reader, err := estargz.Open(io.NewSectionReader(file, 0, info.Size()), options...)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	if found := reader.TOCDigest(); found != want {
		return fmt.Errorf("TOC is %s, not %s", found, want)
	}
	if only {
		return nil
	}
	var verifiers estargz.TOCEntryVerifier
	if !shared {
		if verifiers, err = reader.VerifyTOC(want); err != nil {
			return fmt.Errorf("verify: %w", err)
		}
	}
	root, ok := reader.Lookup("")
	if !ok {
		return fmt.Errorf("no root")
	}
	counts := &counts{seen: map[*estargz.TOCEntry]bool{}}
	if err := walk(reader, verifiers, root, "", counts); err != nil {
		return err
	}
	fmt.Println(counts.files, counts.chunks)
	return nil
}

type counts struct {
	files, chunks int
	seen          map[*estargz.TOCEntry]bool
}

func walk(reader *estargz.Reader, verifiers estargz.TOCEntryVerifier, directory *estargz.TOCEntry, path string, counts *counts) error {
	var failed error
	directory.ForeachChild(func(base string, entry *estargz.TOCEntry) bool {
		name := path + base
		switch {
		case entry.Type == "dir":
			failed = walk(reader, verifiers, entry, name+"/", counts)
		case entry.Type == "reg" && !counts.seen[entry]:
			counts.seen[entry] = true
			if err := check(reader, verifiers, entry, name, counts); err != nil {
				failed = fmt.Errorf("%s: %w", name, err)
			}
		}
		return failed == nil
	})
	return failed
}

func check(reader *estargz.Reader, verifiers estargz.TOCEntryVerifier, entry *estargz.TOCEntry, name string, counts *counts) error {
	counts.files++
	content, err := reader.OpenFile(name)
	if err != nil {
		return err
	}
	whole := sha256.New()
	for offset := int64(0); offset < entry.Size; {
		chunk, ok := reader.ChunkEntryForOffset(name, offset)
		if !ok || chunk.ChunkOffset != offset || chunk.ChunkSize <= 0 {
			return fmt.Errorf("no chunk at %d", offset)
		}
		bytes := make([]byte, chunk.ChunkSize)
		if _, err := content.ReadAt(bytes, offset); err != nil && err != io.EOF {
			return err
		}
		if found := digest.FromBytes(bytes).String(); found != chunk.ChunkDigest {
			return fmt.Errorf("chunk at %d is %s, not %s", offset, found, chunk.ChunkDigest)
		}
		if verifiers != nil {
			verifier, err := verifiers.Verifier(chunk)
			if err != nil {
				return err
			}
			verifier.Write(bytes)
			if !verifier.Verified() {
				return fmt.Errorf("chunk at %d does not verify", offset)
			}
		}
		whole.Write(bytes)
		offset += chunk.ChunkSize
		counts.chunks++
	}
	if found := digest.NewDigest(digest.SHA256, whole).String(); found != entry.Digest {
		return fmt.Errorf("is %s, not %s", found, entry.Digest)
	}
	return nil
}
