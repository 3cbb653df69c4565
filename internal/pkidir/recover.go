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
	"strings"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
)

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
		e, err := d.entryOfStage(ctx, l.Name())
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
	if err := d.recoverMarker(ctx); err != nil {
		return fmt.Errorf("finishing %s: %w", d.Path(stagingDir, markerFile), err)
	}
	if err := d.recoverChange(ctx); err != nil {
		return fmt.Errorf("finishing %s: %w", d.Path(stagingDir, changeFile), err)
	}
	for _, l := range left {
		if folder, ok := strings.CutPrefix(l.Name(), stagedCRL); ok && !l.IsDir() {
			authority, err := d.nameOfFolder(ctx, folder)
			if err != nil {
				return err
			}
			if err := d.recoverCRL(ctx, authority); err != nil {
				return fmt.Errorf("finishing %s: %w", d.Path(stagingDir, l.Name()), err)
			}
		}
	}
	for _, l := range left {
		if strings.HasPrefix(l.Name(), stagedKey) && !l.IsDir() {
			if err := d.recoverPassphrase(ctx, l.Name()); err != nil {
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
	if _, err := d.root.Lstat(path.Join(stageOf(e), CRLFile)); err == nil {
		it.keepsCRL = true
	}
	switch {
	case e.Issuer == e.Name && e.Profile == ProfileIntermediate: // its issuer is elsewhere
		if it.chain, it.roots, err = d.stagedChain(e); err != nil {
			return d.ledger.Abandon(ctx, e, d.serialInPlace(e))
		}
	case e.Issuer == e.Name:
		if it.roots, err = d.rootsOf(ctx, e, cert); err != nil {
			return err
		}
	default:
		parent, err := d.Authority(e.Issuer, nil)
		if errors.Is(err, ErrNoAuthority) { // its key was lost before it had a folder
			return d.ledger.Abandon(ctx, e, d.serialInPlace(e))
		}
		if err != nil {
			return err
		}
		it.chain, it.roots = parent.ChainFor(cert), parent.Roots()
	}
	// What was written last may not have reached the disk.
	if err := atomicfile.Fill(d.root, stageOf(e), it.rootsFile()); err != nil {
		return err
	}
	if it.keepsCRL {
		if err := d.stageCRL(e); err != nil {
			return err
		}
	}
	if err := atomicfile.SyncAll(d.root, stageOf(e)); err != nil {
		return err
	}
	return d.publish(&it)
}

// stagedChain returns the certificates that were staged for an authority from
// elsewhere: its chain and its root.
func (d *Dir) stagedChain(e *ledger.Entry) (chain, roots []*x509.Certificate, err error) {
	if chain, err = d.certificates(path.Join(stageOf(e), ChainFile)); err == nil {
		roots, err = d.certificates(path.Join(stageOf(e), RootsFile))
	}
	if err == nil && serialOf(chain[0]) != e.Serial {
		err = ledger.ErrNotFound
	}
	return chain, roots, err
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
func serialOf(c *x509.Certificate) string {
	if c.SerialNumber.Sign() == 0 { // nobody should have that, and somebody does
		return "00"
	}
	return hex.EncodeToString(c.SerialNumber.Bytes())
}
