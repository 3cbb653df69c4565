package pkidir

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
)

// changeFile, in the staging folder, says that the bundles below an authority are
// to follow a change of it. It is durable before the change is.
const changeFile = "change"

// A change is what bundles have to follow.
type change struct {
	Authority string
	Finish    bool // only the root that is current is trusted from now on
}

func (d *Dir) writeChange(c change) error {
	data, err := json.Marshal(c)
	if err == nil {
		err = atomicfile.Replace(d.root, path.Join(stagingDir, changeFile), data, atomicfile.Public)
	}
	if err != nil {
		return &PathError{d.Path(stagingDir), fmt.Errorf("cannot write to it: %w", atomicfile.Reason(err))}
	}
	return nil
}

func (d *Dir) removeChange() error { return d.root.Remove(path.Join(stagingDir, changeFile)) }

// recoverChange carries out what a killed process left. The caller holds the
// lock.
func (d *Dir) recoverChange(ctx context.Context) error {
	data, err := d.root.ReadFile(path.Join(stagingDir, changeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var c change
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err == nil {
		_, err = d.carryOut(ctx, c)
	}
	return err
}

// carryOut makes a change, and has the bundles follow. It can be done again, and
// changes nothing then.
func (d *Dir) carryOut(ctx context.Context, c change) ([]string, error) {
	refreshed, err := d.refreshBelow(ctx, c)
	if err == nil {
		err = d.removeChange()
	}
	if err != nil {
		return nil, &UnfinishedError{err}
	}
	return refreshed, nil
}

// ToReissue returns what an authority signed that does not hold below its current
// certificate, in the order in which it is best issued again: authorities first.
// It was signed with a former key, or insists on the serial of a former
// certificate. What has ended or is revoked is not among it.
func (d *Dir) ToReissue(ctx context.Context, name string) ([]*ledger.Entry, error) {
	a, err := d.Authority(name, nil)
	if err != nil {
		return nil, err
	}
	below, err := d.signedBy(ctx, name)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(below, func(e *ledger.Entry) bool {
		if !e.RevokedAt.IsZero() || d.now().After(e.NotAfter) {
			return true
		}
		cert, err := x509.ParseCertificate(e.DER)
		return err != nil || isSignedBy(a.Certificate(), cert) && pki.AcceptsSerial(cert, a.Certificate())
	}), nil
}

// signedBy returns the current entries that an authority signed, authorities
// first.
func (d *Dir) signedBy(ctx context.Context, name string) (authorities []*ledger.Entry, err error) {
	l, err := d.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	var others []*ledger.Entry
	err = l.Each(ctx, ledger.Filter{Issuer: name}, func(e *ledger.Entry) error {
		switch {
		case strings.EqualFold(e.Name, name):
		case e.Kind == ledger.KindAuthority:
			authorities = append(authorities, e)
		default:
			others = append(others, e)
		}
		return nil
	})
	return append(authorities, others...), err
}

// An UnderFormerError says that a change of roots cannot end: certificates would
// lose the root that they are verified against.
type UnderFormerError struct {
	Authority string
	Entries   []*ledger.Entry
}

func (e *UnderFormerError) Error() string {
	var names []string
	for i, entry := range e.Entries {
		if i == 5 {
			names = append(names, fmt.Sprintf("%d more", len(e.Entries)-i))
			break
		}
		names = append(names, entry.Name)
	}
	return fmt.Sprintf("the former key of %q has signed what is still in use: %s", e.Authority, strings.Join(names, ", "))
}

// ErrNoRollover says that a root has no former one beside it.
var ErrNoRollover = errors.New("no other root is trusted beside it")

// FinishRollover ends what [Dir.RenewAuthority] began with a new key for a root:
// that one alone is trusted from then on, and the bundles that changed are
// returned. What its former key signed and is still in use is an
// [*UnderFormerError], unless force is true: then such bundles stay as they are.
// If no other root is trusted, the error's cause is [ErrNoRollover].
func (d *Dir) FinishRollover(ctx context.Context, name string, force bool) (refreshed []string, err error) {
	a, err := d.Authority(name, nil)
	if err != nil {
		return nil, err
	}
	if len(a.FullChain()) > 1 || len(a.Roots()) < 2 {
		return nil, fmt.Errorf("%q: %w", name, ErrNoRollover)
	}
	left, err := d.ToReissue(ctx, name)
	if err != nil {
		return nil, err
	}
	if len(left) > 0 && !force {
		return nil, &UnderFormerError{name, left}
	}
	if err := d.checkWritable(); err != nil {
		return nil, err
	}
	unlock, err := d.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	c := change{Authority: name, Finish: true}
	if err := d.writeChange(c); err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx)
	if err := d.ledgerWriteError(d.ledger.Note(ctx, ledger.ActionFinish, name)); err != nil {
		return nil, err // what was begun, the next writer finishes
	}
	return d.carryOut(ctx, c)
}

// refreshBelow writes the chains and roots that are right now into the folders
// below an authority, where they differ, and returns whose they are. The caller
// holds the lock.
func (d *Dir) refreshBelow(ctx context.Context, c change) (refreshed []string, err error) {
	if c.Finish {
		a, err := d.Authority(c.Authority, nil)
		if err != nil {
			return nil, err
		}
		e := &ledger.Entry{Name: c.Authority, Kind: ledger.KindAuthority}
		if _, err := d.rewrite(e, a.Chain(), []*x509.Certificate{a.Root()}); err != nil {
			return nil, err
		}
	}
	seen := map[string]bool{}
	for names := []string{c.Authority}; len(names) > 0; names = names[1:] {
		if seen[fold(names[0])] { // names that are used again could make a circle
			continue
		}
		seen[fold(names[0])] = true
		d.above = nil
		now, err := d.Authority(names[0], nil)
		if errors.Is(err, ErrNoAuthority) {
			continue
		}
		if err != nil {
			return nil, err
		}
		below, err := d.signedBy(ctx, names[0])
		if err != nil {
			return nil, err
		}
		changed := make([]bool, len(below))
		bundles := make([]*pki.Bundle, len(below))
		for i, e := range below {
			if e.Kind == ledger.KindAuthority {
				names = append(names, e.Name)
			}
			if bundles[i], err = d.bundleNow(ctx, e, now); err != nil {
				return nil, err
			}
			// What has no folder is put together when it is read.
			changed[i] = isKept(e) && bundles[i] != nil && !c.Finish && isSignedBy(now.Certificate(), bundles[i].Leaf())
		}
		err = onAllCores(ctx, len(below), func(i int) (err error) {
			if b := bundles[i]; b != nil && !isKept(below[i]) {
				changed[i], err = d.rewrite(below[i], b.Chain, b.Roots)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		for i, e := range below {
			if changed[i] {
				refreshed = append(refreshed, e.Name)
			}
		}
	}
	d.above = nil
	return refreshed, nil
}

// bundleNow returns the bundle of an entry, without its key, as it is to be while
// now is the authority that has its issuer's name; nil if it is to stay as it is: it stands below a former root that is not
// trusted any more.
func (d *Dir) bundleNow(ctx context.Context, e *ledger.Entry, now *pki.Authority) (*pki.Bundle, error) {
	cert, err := x509.ParseCertificate(e.DER)
	if err != nil {
		return nil, fmt.Errorf("the certificate of %q in the ledger: %w", e.Name, err)
	}
	a, err := d.issuerOf(ctx, e.Issuer, cert, maxDepth)
	if errors.Is(err, ErrNoAuthority) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(now.Roots(), a.Root().Equal) {
		return nil, nil
	}
	return &pki.Bundle{Chain: a.ChainFor(cert), Roots: a.Roots()}, nil
}

// rewrite writes a chain and roots into the folder of an entry, if it has one
// that holds something else, and reports whether it did. Each file is whole at
// any time, and so is the bundle: the roots, which come first, verify both
// chains.
func (d *Dir) rewrite(e *ledger.Entry, chain, roots []*x509.Certificate) (changed bool, err error) {
	if e.Serial != "" && !d.holds(e) {
		return false, nil
	}
	it := item{chain: chain, roots: roots}
	for _, f := range []atomicfile.File{it.rootsFile(), it.chainFile()} {
		file := path.Join(targetOf(e), f.Name)
		if data, err := d.root.ReadFile(file); err == nil && bytes.Equal(data, f.Data) {
			continue
		}
		// A process that is killed leaves nothing but in the staging folder.
		staged := path.Join(stagingDir, strings.ReplaceAll(file, "/", "."))
		err := atomicfile.Replace(d.root, staged, f.Data, f.Mode)
		if err == nil {
			err = atomicfile.Move(d.root, staged, file)
		}
		if err != nil {
			return changed, &PathError{d.Path(file), fmt.Errorf("cannot write it: %w", atomicfile.Reason(err))}
		}
		changed = true
	}
	return changed, nil
}

// duringChange gives a former authority, beside its own root, those that are
// trusted together with it now.
func (d *Dir) duringChange(former, now *pki.Authority) (*pki.Authority, error) {
	if now == nil || !slices.ContainsFunc(now.Roots(), former.Root().Equal) {
		return former, nil
	}
	return pki.NewAuthority(pki.AuthorityConfig{Chain: former.FullChain(), Trusted: now.Roots(), Now: d.now})
}

// rootsOf returns what a root's ca.crt holds by the ledger: itself, and during a
// change the ones before it.
func (d *Dir) rootsOf(ctx context.Context, e *ledger.Entry, cert *x509.Certificate) ([]*x509.Certificate, error) {
	roots := []*x509.Certificate{cert}
	var r record
	if err := json.Unmarshal(e.Request, &r); err != nil {
		return nil, fmt.Errorf("the record of %q in the ledger: %w", e.Name, err)
	}
	for _, serial := range r.Trusts {
		former, err := d.ledger.BySerial(ctx, e.Name, serial)
		if err != nil {
			return nil, err
		}
		c, err := x509.ParseCertificate(former.DER)
		if err != nil {
			return nil, err
		}
		roots = append(roots, c)
	}
	return roots, nil
}
