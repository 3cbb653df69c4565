package pkidir

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
)

// An item is a signed certificate on its way into the ledger and its folder.
type item struct {
	entry ledger.Entry
	chain []*x509.Certificate // for tls.crt
	roots []*x509.Certificate // for ca.crt
	key   []byte              // for tls.key; nil if somebody else holds the key
	// settings are those of the whole directory from then on, whole with the
	// authority that they are about; nil to leave them.
	settings []byte
}

func (it *item) rootsFile() atomicfile.File {
	return atomicfile.File{Name: RootsFile, Data: pki.MarshalCertificates(it.roots), Mode: atomicfile.Public}
}

// commit takes items through the ledger into their folders. The caller holds
// the lock.
//
// The key is written before the ledger has the certificate, and the certificate
// only after that. So there is a certificate in a file only if it is in the
// ledger, and what is in the ledger can be finished: see recover. Only the
// ledger has to be durable before that: if power fails and the key is lost, so is
// the certificate, which nobody has seen.
func (d *Dir) commit(ctx context.Context, items []item, replace bool) error {
	entries := make([]ledger.Entry, len(items))
	for i := range items {
		entries[i] = items[i].entry
		if err := d.checkFree(ctx, &entries[i], replace); err != nil {
			return err
		}
	}
	kinds := map[string]bool{}
	for i := range items {
		kinds[items[i].entry.Kind] = true
	}
	for kind := range kinds {
		if err := atomicfile.CheckWritable(filepath.Join(d.at, folderOf(kind))); err != nil {
			return &PathError{d.Path(folderOf(kind)), fmt.Errorf("cannot write to it: %w", err)}
		}
	}
	for i := range items {
		if err := d.stage(&items[i]); err != nil {
			err = &PathError{d.Path(stagingDir), fmt.Errorf("cannot write to it: %w", atomicfile.Reason(err))}
			return errors.Join(err, d.unstage(items[:i+1]))
		}
	}
	// From here on nothing is given up half-way.
	ctx = context.WithoutCancel(ctx)
	synced := make(chan error, 1)
	go func() {
		synced <- onAllCores(ctx, len(items), func(i int) error {
			return atomicfile.SyncAll(d.root, stageOf(&items[i].entry))
		})
	}()
	recordErr := d.ledgerWriteError(d.ledger.Record(ctx, entries, replace))
	syncErr := <-synced
	if recordErr != nil {
		// Should it be on record all the same, its key is needed: see recover.
		if _, err := d.ledger.BySerial(ctx, entries[0].Issuer, entries[0].Serial); !errors.Is(err, ledger.ErrNotFound) {
			return recordErr
		}
		return errors.Join(recordErr, d.unstage(items))
	}
	err := syncErr
	if err == nil {
		err = onAllCores(ctx, len(items), func(i int) error { return d.publish(&items[i]) })
	}
	if err == nil {
		err = d.syncTargets(kinds)
	}
	if err != nil {
		return &UnfinishedError{err}
	}
	return nil
}

// An UnfinishedError says that certificates are in the ledger, but could not be
// put into their folders. The next command that writes does that.
type UnfinishedError struct{ err error }

func (e *UnfinishedError) Error() string {
	return "signed and in the ledger, but not yet in its folder: " + e.err.Error()
}

// Unwrap returns the cause.
func (e *UnfinishedError) Unwrap() error { return e.err }

// checkFree makes sure that an entry's name and folder may be taken.
func (d *Dir) checkFree(ctx context.Context, e *ledger.Entry, replace bool) error {
	old, err := d.ledger.Current(ctx, e.Name)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
	case err != nil:
		return err
	case !replace || old.Kind != e.Kind:
		return &ledger.ExistsError{Name: old.Name, Kind: old.Kind}
	default:
		return nil
	}
	target := targetOf(e)
	if _, err := d.root.Lstat(target); err == nil && !replace {
		return &PathError{d.Path(target), ErrInTheWay}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &PathError{d.Path(target), atomicfile.Reason(err)}
	}
	return nil
}

// folderOf returns the folder of the folders of a kind of entries.
func folderOf(kind string) string {
	if kind == ledger.KindAuthority {
		return authoritiesDir
	}
	return certificatesDir
}

// targetOf returns the folder of an entry.
func targetOf(e *ledger.Entry) string { return path.Join(folderOf(e.Kind), e.Name) }

// stageOf returns the folder in which an entry's files are put together. Its
// name finds the entry again.
func stageOf(e *ledger.Entry) string { return path.Join(stagingDir, e.Serial+"."+e.Issuer) }

// stage makes the folder of an item with all but the certificate.
func (d *Dir) stage(it *item) error {
	dir := stageOf(&it.entry)
	if err := d.root.Mkdir(dir, atomicfile.PrivateDir); err != nil {
		return err
	}
	files := []atomicfile.File{it.rootsFile()}
	if it.key != nil {
		files = append(files, atomicfile.File{Name: KeyFile, Data: it.key, Mode: atomicfile.Private})
	}
	if it.settings != nil {
		files = append(files, atomicfile.File{Name: settingsFile, Data: it.settings, Mode: atomicfile.Public})
	}
	return atomicfile.Fill(d.root, dir, files...)
}

func (d *Dir) unstage(items []item) error {
	var errs []error
	for i := range items {
		errs = append(errs, d.root.RemoveAll(stageOf(&items[i].entry)))
	}
	return errors.Join(errs...)
}

// publish puts the certificate beside its key and moves the folder into place.
func (d *Dir) publish(it *item) error {
	dir := stageOf(&it.entry)
	chain := atomicfile.File{Name: ChainFile, Data: pki.MarshalCertificates(it.chain), Mode: atomicfile.Public}
	if err := atomicfile.Fill(d.root, dir, chain); err != nil {
		return err
	}
	if err := atomicfile.Sync(d.root, path.Join(dir, ChainFile)); err != nil {
		return err
	}
	if err := atomicfile.SyncDir(d.root, dir); err != nil {
		return err
	}
	// Settings first: an authority must not sign without its URLs.
	if it.entry.Kind == ledger.KindAuthority {
		if err := d.publishSettings(dir); err != nil {
			return err
		}
	}
	old, err := atomicfile.ReplaceDir(d.root, dir, targetOf(&it.entry))
	if err != nil || old == "" {
		return err
	}
	return d.root.RemoveAll(old)
}

// syncTargets makes the names of published folders durable.
func (d *Dir) syncTargets(kinds map[string]bool) error {
	for kind := range kinds {
		if err := atomicfile.SyncDir(d.root, folderOf(kind)); err != nil {
			return err
		}
	}
	return nil
}

// recover finishes or throws away what a killed process left in the staging
// folder. The caller holds the lock, so nobody is at work there.
func (d *Dir) recover(ctx context.Context) error {
	left, err := fs.ReadDir(d.root.FS(), stagingDir)
	if err != nil {
		return &PathError{d.Path(stagingDir), atomicfile.Reason(err)}
	}
	if len(left) == 0 {
		return nil
	}
	var staged []*ledger.Entry
	for _, l := range left {
		if !l.IsDir() {
			continue
		}
		serial, issuer, _ := strings.Cut(l.Name(), ".")
		e, err := d.ledger.BySerial(ctx, issuer, serial)
		if err == nil {
			staged = append(staged, e)
		} else if !errors.Is(err, ledger.ErrNotFound) {
			return d.ledgerError(err)
		}
	}
	for _, e := range parentsFirst(staged) {
		if err := d.recoverOne(ctx, e); err != nil {
			return fmt.Errorf("finishing %s: %w", d.Path(stageOf(e)), err)
		}
	}
	if err := d.syncTargets(map[string]bool{ledger.KindAuthority: true, ledger.KindCertificate: true}); err != nil {
		return err
	}
	for _, l := range left {
		if authority, ok := strings.CutPrefix(l.Name(), stagedCRL); ok && !l.IsDir() {
			if err := d.recoverCRL(ctx, authority); err != nil {
				return fmt.Errorf("finishing %s: %w", d.Path(stagingDir, l.Name()), err)
			}
		}
	}
	// What is still there is garbage: never in the ledger, or replaced.
	for _, l := range left {
		if err := d.root.RemoveAll(path.Join(stagingDir, l.Name())); err != nil {
			return err
		}
	}
	return nil
}

// parentsFirst puts every authority before what it signed: the chain of an entry
// is read from its issuer's folder.
func parentsFirst(entries []*ledger.Entry) (ordered []*ledger.Entry) {
	placed := map[*ledger.Entry]bool{}
	var place func(*ledger.Entry)
	place = func(e *ledger.Entry) {
		if placed[e] {
			return
		}
		placed[e] = true
		for _, p := range entries {
			if p.Kind == ledger.KindAuthority && strings.EqualFold(p.Name, e.Issuer) {
				place(p)
			}
		}
		ordered = append(ordered, e)
	}
	for _, e := range entries {
		place(e)
	}
	return ordered
}

func (d *Dir) recoverOne(ctx context.Context, e *ledger.Entry) error {
	if !e.Current || d.holds(e) {
		return nil
	}
	if _, err := d.root.Lstat(stageOf(e)); err != nil {
		return nil
	}
	cert, err := x509.ParseCertificate(e.DER)
	if err != nil {
		return err
	}
	if whole, err := d.stagedKeyIsWhole(e, cert); err != nil {
		return err
	} else if !whole {
		return d.ledger.Abandon(ctx, e, d.serialInPlace(e))
	}
	it := item{entry: *e, chain: []*x509.Certificate{cert}, roots: []*x509.Certificate{cert}}
	if e.Issuer != e.Name {
		parent, err := d.Authority(e.Issuer, nil)
		if errors.Is(err, ErrNoAuthority) { // its key was lost before it had a folder
			return d.ledger.Abandon(ctx, e, d.serialInPlace(e))
		}
		if err != nil {
			return err
		}
		it.chain, it.roots = parent.ChainFor(cert), []*x509.Certificate{parent.Root()}
	}
	// What was written last may not have reached the disk.
	if err := atomicfile.Fill(d.root, stageOf(e), it.rootsFile()); err != nil {
		return err
	}
	if err := atomicfile.SyncAll(d.root, stageOf(e)); err != nil {
		return err
	}
	return d.publish(&it)
}

// stagedKeyIsWhole reports whether the key that was staged for a certificate is
// there, or need not be. A failure of power can take it.
func (d *Dir) stagedKeyIsWhole(e *ledger.Entry, cert *x509.Certificate) (bool, error) {
	var r record
	if err := json.Unmarshal(e.Request, &r); err != nil {
		return false, err
	}
	if r.CSR {
		return true, nil
	}
	data, err := d.root.ReadFile(path.Join(stageOf(e), KeyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if pki.KeyIsEncrypted(data) {
		block, _ := pem.Decode(data)
		return block != nil, nil
	}
	key, err := pki.ParseKey(data, nil)
	return err == nil && pki.SamePublicKey(key.Public(), cert.PublicKey), nil
}

// holds reports whether an entry's folder has its certificate.
func (d *Dir) holds(e *ledger.Entry) bool { return d.serialInPlace(e) == e.Serial }

// serialInPlace returns the serial of the certificate in an entry's folder, or
// "" if there is none.
func (d *Dir) serialInPlace(e *ledger.Entry) string {
	certs, err := d.certificates(path.Join(targetOf(e), ChainFile))
	if err != nil {
		return ""
	}
	return serialOf(certs[0])
}

// serialOf returns a certificate's serial as the ledger has it.
func serialOf(c *x509.Certificate) string { return hex.EncodeToString(c.SerialNumber.Bytes()) }
