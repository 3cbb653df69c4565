package pkidir

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strings"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/pki"
)

// A KeyFileError says that the file that was named for the key of an authority is
// not one to sign with. Its causes are those of a key in its own place.
type KeyFileError struct {
	Authority string
	Path      string
	Err       error
}

func (e *KeyFileError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *KeyFileError) Unwrap() error { return e.Err }

// SetKeyFile names a file outside the directory that holds the key of an
// authority. It is read for authorities whose key is not in their folder, and has
// to be the key of each. The empty path is none.
func (d *Dir) SetKeyFile(file string) { d.keyFile = file }

// signerFor returns the key of the authority that has cert: that of its folder,
// or else that of the file that [Dir.SetKeyFile] names. Without either the error
// is [pki.ErrNoKey].
func (d *Dir) signerFor(name string, cert *x509.Certificate, passphrase Passphrase) (crypto.Signer, error) {
	key, _, err := d.key(path.Join(authorityFolder(name), KeyFile), passphrase, true)
	if !errors.Is(err, pki.ErrNoKey) || d.keyFile == "" {
		return key, err
	}
	key, err = keyAt(d.keyFile, passphrase)
	if err == nil && !pki.SamePublicKey(key.Public(), cert.PublicKey) {
		err = &PathError{d.keyFile, fmt.Errorf("%w, and not to authority %q", pki.ErrKeyMismatch, name)}
	}
	if err != nil {
		return nil, &KeyFileError{name, d.keyFile, err}
	}
	return key, nil
}

// keyAt reads the key in a file outside the directory.
func keyAt(file string, passphrase Passphrase) (crypto.Signer, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, &PathError{file, atomicfile.Reason(err)}
	}
	data, err := readKey(f, file, true)
	if err != nil {
		return nil, err
	}
	return parseKey(data, file, passphrase)
}

// key is the one place where a file becomes a signer. A key that is not here is
// [pki.ErrNoKey]. The key of an authority must be its owner's alone.
func (d *Dir) key(name string, passphrase Passphrase, authority bool) (crypto.Signer, pki.KeyEncoding, error) {
	data, err := d.keyText(name, authority)
	if err != nil {
		return nil, "", err
	}
	key, err := parseKey(data, d.Path(name), passphrase)
	if err != nil {
		return nil, "", err
	}
	encoding := pki.PKCS8
	switch {
	case strings.Contains(string(data), "BEGIN RSA PRIVATE KEY"):
		encoding = pki.PKCS1
	case strings.Contains(string(data), "BEGIN EC PRIVATE KEY"):
		encoding = pki.SEC1
	}
	return key, encoding, nil
}

// keyText reads a key file of the directory, or is [pki.ErrNoKey].
func (d *Dir) keyText(name string, authority bool) ([]byte, error) {
	f, err := d.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, pki.ErrNoKey
	}
	if err != nil {
		return nil, &PathError{d.Path(name), atomicfile.Reason(err)}
	}
	if authority {
		folder := path.Dir(name)
		info, err := d.root.Stat(folder)
		if err == nil {
			err = checkFolderMode(d.Path(folder), info.Mode())
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return readKey(f, d.Path(name), authority)
}

// maxKeyFile bounds what is read; no key is larger.
const maxKeyFile = 1 << 20

// readKey reads a key file that is open, and closes it. With private it must be
// its owner's alone.
func readKey(f *os.File, file string, private bool) (data []byte, err error) {
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			data = nil
		}
	}()
	info, err := f.Stat()
	if err == nil && private {
		if err := checkKeyMode(file, info.Mode()); err != nil {
			return nil, err
		}
	}
	if err == nil {
		data, err = io.ReadAll(io.LimitReader(f, maxKeyFile))
	}
	if err != nil {
		return nil, &PathError{file, atomicfile.Reason(err)}
	}
	return data, nil
}

// parseKey makes a signer of what was read from file. Its errors are of cause
// [pki.ErrPassphrase] and [ErrBadKey].
func parseKey(data []byte, file string, passphrase Passphrase) (crypto.Signer, error) {
	var secret []byte
	if pki.KeyIsEncrypted(data) {
		var err error
		if secret, err = passphrase(); err != nil {
			return nil, &PathError{file, err}
		}
	}
	key, err := pki.ParseKey(data, secret)
	if err != nil {
		if !errors.Is(err, pki.ErrPassphrase) {
			err = fmt.Errorf("%w: %w", ErrBadKey, err)
		}
		return nil, &PathError{file, err}
	}
	return key, nil
}

// checkKeyMode refuses a key file that others than its owner may read.
func checkKeyMode(path string, mode fs.FileMode) error {
	if runtime.GOOS != "windows" && mode.Perm()&0o077 != 0 {
		return &PathError{path, fmt.Errorf("%w: its mode is %04o", ErrLooseKeyMode, mode.Perm())}
	}
	return nil
}

// checkFolderMode refuses the folder of a key that others than its owner may use.
func checkFolderMode(path string, mode fs.FileMode) error {
	if runtime.GOOS != "windows" && mode.Perm()&0o077 != 0 {
		return &PathError{path, fmt.Errorf("%w: its mode is %04o", ErrLooseFolderMode, mode.Perm())}
	}
	return nil
}
