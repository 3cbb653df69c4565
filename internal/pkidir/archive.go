package pkidir

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
)

// contentsFile is the last entry of a backup. It says what is before it: a backup
// without it was cut off.
const contentsFile = "backup.json"

// backupVersion is that of a backup's layout.
const backupVersion = 1

// contents are contentsFile.
type contents struct {
	Version int            `json:"version"`
	At      time.Time      `json:"at"`   // when it was made; all that happened before is in it
	Keys    bool           `json:"keys"` // the private keys are in it
	Files   []archivedFile `json:"files"`
}

type archivedFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // hexadecimal
}

// ErrBackup says that a file is no backup, or is damaged.
var ErrBackup = errors.New("that is not a whole backup")

// archivedMode returns the mode that a file of a PKI directory must have, and
// whether it is one that a backup may hold.
func archivedMode(name string) (fs.FileMode, bool) {
	if !fs.ValidPath(name) {
		return 0, false
	}
	part := strings.Split(name, "/")
	for _, p := range part {
		if !filepath.IsLocal(p) || strings.HasPrefix(p, ".") || strings.ContainsFunc(p, func(r rune) bool {
			return r == '\\' || r == ':' || r == unicode.ReplacementChar || unicode.IsControl(r)
		}) {
			return 0, false
		}
	}
	switch {
	case name == settingsFile, name == ledgerFile:
		return atomicfile.Public, true
	case name == keysFile:
		return atomicfile.Private, true
	case len(part) == 2 && part[0] == profilesDir && strings.HasSuffix(name, ".yaml"):
		return atomicfile.Public, true
	case len(part) == 3 && (part[0] == authoritiesDir || part[0] == certificatesDir):
		if isPublicFile(part[2]) {
			return atomicfile.Public, true
		}
		return atomicfile.Private, true
	}
	return 0, false
}

// isPublicFile reports whether a file in the folder of an authority or of a
// certificate is one that holds no key.
func isPublicFile(name string) bool { return name == ChainFile || name == RootsFile || name == CRLFile }

// seal appends the contents to an archive that has been written to f, without its
// end, and the end.
func seal(f io.ReadWriteSeeker, c contents) (contents, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return c, err
	}
	r := tar.NewReader(bufio.NewReaderSize(f, copyBuffer))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return c, err
		}
		sum := sha256.New()
		if _, err := io.Copy(sum, r); err != nil { //nolint:gosec // of a file that this process wrote
			return c, err
		}
		c.Files = append(c.Files, archivedFile{h.Name, h.Size, hex.EncodeToString(sum.Sum(nil))})
	}
	if _, err := f.Seek(0, io.SeekEnd); err != nil {
		return c, err
	}
	data, err := json.MarshalIndent(c, "", " ")
	if err != nil {
		return c, err
	}
	w := tar.NewWriter(f)
	if err := w.WriteHeader(header(contentsFile, int64(len(data)), c.At)); err != nil {
		return c, err
	}
	_, err = w.Write(data)
	return c, errors.Join(err, w.Close())
}

func header(name string, size int64, at time.Time) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: int64(atomicfile.Private), ModTime: at}
}

// copyBuffer is how much of a file is read at once.
const copyBuffer = 1 << 20

// extract reads a backup, compressed or not, and writes its files into a folder
// that nobody reads yet, with the modes that they must have. An entry that could
// lead out of the folder, or that no backup has, is [ErrBackup], as is one that
// is damaged or cut off; what was written is then the caller's to remove.
func extract(in io.Reader, root *os.Root) (contents, error) {
	var c contents
	buffered := bufio.NewReaderSize(in, copyBuffer)
	var plain io.Reader = buffered
	if magic, err := buffered.Peek(2); err == nil && bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return c, notBackup(err)
		}
		plain = z
	}
	var found []archivedFile
	seen := map[string]bool{}
	r := tar.NewReader(plain)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return c, notBackup(errors.New("it was cut off"))
		}
		if err != nil {
			return c, notBackup(err)
		}
		if err := checkHeader(h); err != nil {
			return c, notBackup(err)
		}
		if h.Name == contentsFile {
			if c, err = readContents(r, len(found)); err != nil {
				return c, notBackup(err)
			}
			break
		}
		mode, ok := archivedMode(h.Name)
		// Where names have no case, two would be one.
		if !ok || seen[strings.ToLower(h.Name)] {
			return c, notBackup(fmt.Errorf("it has an entry %q", h.Name))
		}
		seen[strings.ToLower(h.Name)] = true
		sum := sha256.New()
		if err := extractFile(root, h.Name, io.TeeReader(r, sum), mode); err != nil {
			return c, err
		}
		found = append(found, archivedFile{h.Name, h.Size, hex.EncodeToString(sum.Sum(nil))})
	}
	// The checksum of gzip comes at the end.
	if _, err := io.Copy(io.Discard, plain); err != nil {
		return c, notBackup(err)
	}
	return c, sameContents(c.Files, found)
}

func notBackup(err error) error { return fmt.Errorf("%w: %w", ErrBackup, err) }

// checkHeader refuses entries that are no plain files. One with holes could be
// larger than all that was read.
func checkHeader(h *tar.Header) error {
	if h.Typeflag != tar.TypeReg {
		return fmt.Errorf("its entry %q is no file", h.Name)
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return fmt.Errorf("its entry %q has holes", h.Name)
		}
	}
	return nil
}

// readContents reads the last entry of a backup of so many files.
func readContents(r io.Reader, files int) (c contents, err error) {
	const forEach = 4 << 10
	limit := int64(files+1) * forEach
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("its %s is too long", contentsFile)
	}
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err == nil && c.Version > backupVersion {
		err = fmt.Errorf("it has version %d, and this program knows %d: %w", c.Version, backupVersion, ledger.ErrNewer)
	}
	if err == nil && (c.Version < 1 || c.At.IsZero()) {
		err = fmt.Errorf("its %s does not say when it was made", contentsFile)
	}
	return c, err
}

func extractFile(root *os.Root, name string, r io.Reader, mode fs.FileMode) error {
	if dir := path.Dir(name); strings.Contains(dir, "/") {
		if err := root.Mkdir(dir, atomicfile.PrivateDir); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	var reading readError
	err := atomicfile.FillFrom(root, name, &noted{r, &reading}, mode)
	if reading.err != nil && !errors.Is(reading.err, context.Canceled) {
		return notBackup(reading.err)
	}
	return err
}

// readError is what went wrong on the side of the backup.
type readError struct{ err error }

type noted struct {
	r  io.Reader
	to *readError
}

func (n *noted) Read(p []byte) (int, error) {
	k, err := n.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		n.to.err = err
	}
	return k, err
}

// sameContents refuses files that are not those that a backup was made of.
func sameContents(want, got []archivedFile) error {
	for i, w := range want {
		if i >= len(got) {
			return notBackup(fmt.Errorf("%s is not in it", w.Name))
		}
		if got[i] != w {
			return notBackup(fmt.Errorf("%s is damaged", got[i].Name))
		}
	}
	if len(got) > len(want) {
		return notBackup(fmt.Errorf("%s was added to it", got[len(want)].Name))
	}
	return nil
}
