package cmd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
)

// The formats of exports that are treated apart.
const (
	formatPEM          = "pem"
	formatSecret       = "secret"
	formatP12          = "p12"
	formatTruststore   = "truststore"
	formatMobileconfig = "mobileconfig"
	formatCRL          = "crl"
)

// An exportRecord is what the ledger keeps of an export beside its path, to write
// it again. There is no password in it.
type exportRecord struct {
	Files     []string `json:"files"`            // their names, in their folder
	Folder    bool     `json:"folder,omitempty"` // the path is a folder, and not one file
	WithCAKey bool     `json:"withCAKey,omitempty"`
	CRL       bool     `json:"crl,omitempty"`
	For       string   `json:"for,omitempty"` // the consumer
	// Options are those of the format. Without them, only the user can write the
	// export again.
	Options json.RawMessage `json:"options,omitempty"`
	Flags   []string        `json:"flags,omitempty"` // as they were typed
	// Before is the digest of what was in its place: the ledger has what is written
	// again before it is written.
	Before string `json:"before,omitempty"`
}

// setOptions keeps the options of a format that needs nothing else.
func (r *exportRecord) setOptions(entry export.Entry, f export.Format) (err error) {
	secret := false
	switch f := f.(type) {
	case export.Truststore:
		secret = f.Password != ""
	case export.MobileConfig:
		secret = f.Password != ""
	}
	if !entry.Again || secret {
		return nil
	}
	r.Options, err = json.Marshal(f)
	return err
}

// format returns the format of an export, with its options.
func (r *exportRecord) format(name string) (export.Format, error) {
	entry, err := export.Find(name)
	if err != nil {
		return nil, err
	}
	v := reflect.New(reflect.TypeOf(entry.Format))
	if err := json.Unmarshal(r.Options, v.Interface()); err != nil {
		return nil, err
	}
	f, ok := v.Elem().Interface().(export.Format)
	if !ok {
		return nil, fmt.Errorf("%s is no format", name)
	}
	return f, nil
}

// place returns the folder and the files of an export.
func (r *exportRecord) place(path string) (dir string) {
	if r.Folder {
		return path
	}
	return filepath.Dir(path)
}

// digestOf is that of files with their names.
func digestOf(files []export.File) string {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%s %d\n", f.Name, len(f.Data))
		h.Write(f.Data)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// entry makes what the ledger gets.
func (r *exportRecord) entry(name, format, dir string, files []export.File) (ledger.Export, error) {
	r.Files = nil
	for _, f := range files {
		r.Files = append(r.Files, f.Name)
	}
	if !r.Folder {
		dir = filepath.Join(dir, files[0].Name)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return ledger.Export{}, err
	}
	options, err := json.Marshal(r)
	return ledger.Export{Path: abs, Name: name, Format: format, Options: options, SHA256: digestOf(files)}, err
}

// recordExport remembers where files were written to, for renew to name them. Who
// may only read the PKI directory exports all the same.
func (a *app) recordExport(ctx context.Context, name, format, dir string, r exportRecord, files []export.File) (err error) {
	e, err := r.entry(name, format, dir, files)
	if err != nil {
		return err
	}
	d, err := a.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	// What lies in the PKI directory itself is not elsewhere.
	if inside, err := filepath.Abs(a.pkiPath); err == nil && strings.HasPrefix(e.Path+string(filepath.Separator), inside+string(filepath.Separator)) {
		return nil
	}
	if err := d.PutExports(ctx, []ledger.Export{e}); err != nil {
		a.note("renew will not know of %s: %v", e.Path, err)
	}
	return nil
}

// readExport reads what is in the place of an export. What is not there at all is
// [fs.ErrNotExist].
func readExport(e *ledger.Export, r *exportRecord) (digest string, err error) {
	dir := r.place(e.Path)
	var files []export.File
	for _, name := range r.Files {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() {
			return "no file", nil // somebody changed it, and a pipe would wait for ever
		}
		data, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		files = append(files, export.File{Name: name, Data: data})
	}
	if len(files) == 0 {
		return "", fs.ErrNotExist
	}
	return digestOf(files), nil
}

// recordBundle is [app.recordExport] for the three files of a bundle.
func (a *app) recordBundle(ctx context.Context, i *pkidir.Issued, dir string) error {
	files, err := export.PEM{}.Export(i.Bundle)
	if err != nil {
		return err
	}
	return a.recordExport(ctx, i.Entry.Name, formatPEM, dir, exportRecord{Folder: true, Options: json.RawMessage("{}")}, files)
}
