// Reads tars by Go's archive/tar, the parser of containerd, podman and Docker.
//
// stdin: paths, one a line. stdout: of each, in order, one JSON object a line: `entries` up to the end or the
// first error, and `error`, empty if there was none. Bytes are in hex.
package main

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"strings"
)

type entry struct {
	Name    string            `json:"name"`
	Type    string            `json:"type"`
	Link    string            `json:"link"`
	Mode    int64             `json:"mode"`
	UID     int64             `json:"uid"`
	GID     int64             `json:"gid"`
	Seconds int64             `json:"seconds"`
	Nanos   int64             `json:"nanos"`
	Major   int64             `json:"major"`
	Minor   int64             `json:"minor"`
	Size    int64             `json:"size"`
	SHA256  string            `json:"sha256"`
	Xattrs  map[string]string `json:"xattrs"`
}

type result struct {
	Entries []entry `json:"entries"`
	Error   string  `json:"error"`
}

func read(path string) (found result) {
	file, err := os.Open(path)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	found.Entries = []entry{}
	reader := tar.NewReader(bufio.NewReader(file))
	for {
		header, err := reader.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			found.Error = err.Error()
			return
		}
		hash := sha256.New()
		size, err := io.Copy(hash, reader)
		if err != nil {
			found.Error = err.Error()
			return
		}
		xattrs := map[string]string{}
		for key, value := range header.PAXRecords {
			if name := strings.TrimPrefix(key, "SCHILY.xattr."); name != key {
				xattrs[hex.EncodeToString([]byte(name))] = hex.EncodeToString([]byte(value))
			}
		}
		found.Entries = append(found.Entries, entry{
			Name: hex.EncodeToString([]byte(header.Name)), Type: string(rune(header.Typeflag)),
			Link: hex.EncodeToString([]byte(header.Linkname)), Mode: header.Mode & 07777,
			UID: int64(header.Uid), GID: int64(header.Gid),
			Seconds: header.ModTime.Unix(), Nanos: int64(header.ModTime.Nanosecond()),
			Major: header.Devmajor, Minor: header.Devminor,
			Size: size, SHA256: hex.EncodeToString(hash.Sum(nil)), Xattrs: xattrs,
		})
	}
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	paths := bufio.NewScanner(os.Stdin)
	for paths.Scan() {
		if err := encoder.Encode(read(paths.Text())); err != nil {
			panic(err)
		}
	}
}
