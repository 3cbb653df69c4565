package pkidir

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/pki"
)

// The ways in which the passphrase of a key changes.
const (
	PassphraseAdded   = "added"
	PassphraseChanged = "changed"
	PassphraseRemoved = "removed"
)

// A PassphraseChange says what became of the key of an authority.
type PassphraseChange struct {
	Authority string
	Path      string // of the key file
	// Change is [PassphraseAdded], [PassphraseChanged] or [PassphraseRemoved];
	// empty if there was none to remove.
	Change string
}

// ErrKeyChanged says that another process wrote a key file meanwhile.
var ErrKeyChanged = errors.New("another process changed it meanwhile")

// stagedKey begins the names of key files in the staging folder. The place of the
// change among those in the log follows, and the name of the authority's folder.
const stagedKey = "passwd."

// ChangePassphrase writes the key file of an authority anew, encrypted with the
// passphrase that next returns, or in the clear if that is empty. old is asked if
// the key is encrypted, and next after that. The empty name is the default
// authority. Killed at any moment, it leaves the old file or the new one, and the
// log says which.
//
// Errors are of cause [ErrNoAuthority], [pki.ErrNoKey] as a [*KeyMissingError],
// [pki.ErrPassphrase], [pki.ErrKeyMismatch], [ErrLooseKeyMode],
// [ErrLooseFolderMode] and [ErrKeyChanged].
func (d *Dir) ChangePassphrase(ctx context.Context, authority string, old, next Passphrase) (change PassphraseChange, err error) {
	name, err := d.resolveAuthority(authority)
	if err != nil {
		return change, err
	}
	if err := d.checkWritable(); err != nil {
		return change, err
	}
	// What was left unfinished may be this very file.
	if err := d.Finish(ctx); err != nil {
		return change, err
	}
	file := path.Join(authorityFolder(name), KeyFile)
	before, key, err := d.keyToRewrite(name, file, old)
	if err != nil {
		return change, err
	}
	secret, err := next()
	if err != nil {
		return change, err
	}
	change = PassphraseChange{name, d.Path(file), PassphraseChanged}
	switch encrypted := pki.KeyIsEncrypted(before); {
	case !encrypted && len(secret) == 0:
		change.Change = ""
		return change, nil
	case !encrypted:
		change.Change = PassphraseAdded
	case len(secret) == 0:
		change.Change = PassphraseRemoved
	}
	after, err := rewrittenKey(key, secret)
	if err != nil {
		return change, &PathError{d.Path(file), err}
	}
	unlock, err := d.lock(ctx)
	if err != nil {
		return change, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if now, err := d.keyText(file, true); err != nil || !bytes.Equal(now, before) {
		if err == nil || errors.Is(err, pki.ErrNoKey) {
			err = &PathError{d.Path(file), ErrKeyChanged}
		}
		return change, err
	}
	return change, d.rewriteKey(ctx, name, change.Change, after)
}

// keyToRewrite returns the key file of an authority, and the key in it.
func (d *Dir) keyToRewrite(name, file string, passphrase Passphrase) ([]byte, crypto.Signer, error) {
	a, err := d.Authority(name, nil)
	if err != nil {
		return nil, nil, err
	}
	data, err := d.keyText(file, true)
	if errors.Is(err, pki.ErrNoKey) {
		return nil, nil, &KeyMissingError{Authority: name, Path: d.Path(file)}
	}
	if err != nil {
		return nil, nil, err
	}
	key, err := parseKey(data, d.Path(file), passphrase)
	if err != nil {
		return nil, nil, err
	}
	if !pki.SamePublicKey(key.Public(), a.Certificate().PublicKey) {
		return nil, nil, &PathError{d.Path(path.Dir(file)), pki.ErrKeyMismatch}
	}
	return data, key, nil
}

// rewrittenKey encodes a key, and makes sure that it can be read again.
func rewrittenKey(key crypto.Signer, secret []byte) ([]byte, error) {
	data, err := pki.MarshalKey(key, pki.PKCS8, secret)
	if err != nil {
		return nil, err
	}
	again, err := pki.ParseKey(data, secret)
	if err == nil && !pki.SamePublicKey(again.Public(), key.Public()) {
		err = pki.ErrKeyMismatch
	}
	if err != nil {
		return nil, fmt.Errorf("what was to be written cannot be read: %w", err)
	}
	return data, nil
}

// rewriteKey takes a key file through the log into its place. The caller holds the
// lock.
func (d *Dir) rewriteKey(ctx context.Context, name, change string, data []byte) error {
	folder := authorityFolder(name)
	if err := atomicfile.CheckWritable(d.real(folder)); err != nil {
		return &PathError{d.Path(folder), fmt.Errorf("cannot write to it: %w", err)}
	}
	e, err := d.ledger.Current(ctx, name)
	if err != nil {
		return d.ledgerError(err)
	}
	n, err := d.ledger.KeyChanges(ctx, name)
	if err != nil {
		return d.ledgerError(err)
	}
	staged := stagedKeyName(name, n+1)
	if err := atomicfile.Replace(d.root, path.Join(stagingDir, staged), data, atomicfile.Private); err != nil {
		return &PathError{d.Path(stagingDir), fmt.Errorf("cannot write to it: %w", atomicfile.Reason(err))}
	}
	// From here on nothing is given up half-way.
	ctx = context.WithoutCancel(ctx)
	recordErr := d.ledgerWriteError(d.ledger.RecordKeyChange(ctx, e, change))
	if err := d.recoverPassphrase(ctx, staged); err != nil && recordErr == nil {
		return &PathError{d.Path(folder), fmt.Errorf("in the log, but not yet in its place: %w", atomicfile.Reason(err))}
	}
	return recordErr
}

func stagedKeyName(authority string, n int) string {
	return stagedKey + strconv.Itoa(n) + "." + folderName(authority)
}

// recoverPassphrase moves a staged key file into its place if its change is in the
// log, and throws it away if not. The caller holds the lock.
func (d *Dir) recoverPassphrase(ctx context.Context, staged string) error {
	count, folder, _ := strings.Cut(strings.TrimPrefix(staged, stagedKey), ".")
	name, err := d.nameOfFolder(ctx, folder)
	if err != nil {
		return err
	}
	n, err := d.ledger.KeyChanges(ctx, name)
	if err != nil {
		return d.ledgerError(err)
	}
	file := path.Join(stagingDir, staged)
	if place, err := strconv.Atoi(count); err != nil || n < place || !d.hasFolder(authorityFolder(name)) {
		return d.root.Remove(file)
	}
	return atomicfile.Move(d.root, file, path.Join(authorityFolder(name), KeyFile))
}
