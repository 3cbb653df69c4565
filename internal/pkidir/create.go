package pkidir

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
)

// An AuthorityOrder asks for one authority.
type AuthorityOrder struct {
	Name pki.Name
	// Parent is the name of the authority above: one that exists, or one of an
	// order before this one. Empty for a root.
	Parent  string
	Request pki.CARequest
	URLs    pki.URLs // go into what the new authority signs
	// Secret encrypts the key at rest, if it is not empty.
	Secret []byte
	// KeyOut is a file that must not exist yet, outside the PKI directory: the key
	// is written there and nowhere else. Empty for the authority's folder.
	KeyOut string
}

// AuthorityOptions are what all orders of one call have in common.
type AuthorityOptions struct {
	Passphrase Passphrase // for the key of a parent that exists; not nil
	// Default is the name that becomes the default authority; empty leaves it as
	// it is. Where there is none yet, it is the last of the new ones.
	Default string
	Command string // as [Dir.SetCommand] takes it
	KeyFile string // as [Dir.SetKeyFile] takes it
}

// The profile names of authorities in the ledger.
const (
	ProfileRoot         = "root"
	ProfileIntermediate = "intermediate"
)

// checkNew finds names that are taken before any key is made.
func (d *Dir) checkNew(ctx context.Context, orders []AuthorityOrder) error {
	if err := d.openLedgerToWrite(ctx); err != nil {
		return err
	}
	for _, order := range orders {
		if err := d.checkKeyOut(order.KeyOut); err != nil {
			return err
		}
		e := &ledger.Entry{Name: order.Name.String(), Kind: ledger.KindAuthority}
		if err := d.checkFree(ctx, e, false); err != nil {
			return err
		}
	}
	return nil
}

// addAuthorities makes authorities in a directory that exists.
func (d *Dir) addAuthorities(ctx context.Context, orders []AuthorityOrder, o AuthorityOptions) ([]Issued, error) {
	if err := d.checkWritable(); err != nil {
		return nil, err
	}
	// What was left unfinished may be what is asked for again.
	if err := d.Finish(ctx); err != nil {
		return nil, err
	}
	if err := d.checkNew(ctx, orders); err != nil {
		return nil, err
	}
	items, issued, err := signAuthorities(ctx, d, orders, d.now, o.Passphrase)
	if err != nil {
		return nil, err
	}
	unlock, err := d.lock(ctx)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(d.recordAuthorities(ctx, items, orders, o.Default), unlock()); err != nil {
		return nil, err
	}
	return d.placed(issued), nil
}

// placed says where authorities are, and which of them is the default.
func (d *Dir) placed(issued []Issued) []Issued {
	for i := range issued {
		issued[i].Path = d.Path(targetOf(&issued[i].Entry))
		issued[i].Default = issued[i].Entry.Name == d.DefaultAuthority()
	}
	return issued
}

// recordAuthorities puts signed authorities into the settings, the ledger and
// their folders. The caller holds the lock.
func (d *Dir) recordAuthorities(ctx context.Context, items []item, orders []AuthorityOrder, def string) error {
	// Another process may have changed them before it gave the lock away.
	if err := d.loadSettings(); err != nil {
		return &PathError{d.path, err}
	}
	for i := range items {
		if orders[i].Parent != "" {
			if err := d.checkNotRevoked(ctx, orders[i].Parent); err != nil {
				return err
			}
		}
		if err := d.checkFree(ctx, &items[i].entry, false); err != nil {
			return err
		}
	}
	urls := map[string]pki.URLs{}
	for _, order := range orders {
		urls[order.Name.String()] = order.URLs
	}
	if def == "" && d.DefaultAuthority() == "" {
		def = orders[len(orders)-1].Name.String()
	}
	last := &items[len(items)-1]
	var err error
	if last.settings, err = d.changedSettings(def, urls); err != nil {
		return err
	}
	if last.settings != nil {
		if err := atomicfile.CheckWritable(d.at); err != nil {
			return &PathError{d.Path(settingsFile), fmt.Errorf("cannot write it: %w", err)}
		}
	}
	return d.commitWithKeys(ctx, items)
}

// signAuthorities makes the keys and certificates of orders in memory. d is nil
// if there is no PKI directory yet.
func signAuthorities(ctx context.Context, d *Dir, orders []AuthorityOrder, now func() time.Time, passphrase Passphrase) ([]item, []Issued, error) {
	// Roots, and intermediates under authorities that exist, are checked before
	// any key is made.
	parents := map[string]*pki.Authority{}
	drafts := make([]*pki.Draft, len(orders))
	ordered := map[string]bool{}
	for i, o := range orders {
		ordered[o.Name.String()] = true
		var err error
		switch {
		case o.Parent == "":
			drafts[i], err = pki.PrepareRoot(o.Request, now())
		case ordered[o.Parent]:
			continue
		case d == nil:
			err = fmt.Errorf("%w %q", ErrNoAuthority, o.Parent)
		default:
			drafts[i], err = d.prepareUnder(o, parents, passphrase)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	keys := make([]crypto.Signer, len(orders))
	err := onAllCores(ctx, len(orders), func(i int) (err error) {
		keys[i], err = pki.GenerateKey(orders[i].Request.Key)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	items, issued := make([]item, len(orders)), make([]Issued, len(orders))
	for i, o := range orders {
		parent := parents[o.Parent]
		if drafts[i] == nil {
			if drafts[i], err = parent.PrepareCA(o.Request); err != nil {
				return nil, nil, err
			}
		}
		issued[i].Warnings = drafts[i].Warnings()
		a, err := signAuthority(parent, drafts[i], keys[i], o.URLs, now)
		if err != nil {
			return nil, nil, err
		}
		parents[o.Name.String()] = a
		e := ledger.Entry{Name: o.Name.String(), Kind: ledger.KindAuthority, Profile: ProfileIntermediate, Issuer: o.Parent}
		if parent == nil {
			e.Profile, e.Issuer = ProfileRoot, e.Name
		}
		if err := complete(&e, a.Certificate(), record{Subject: o.Request.Subject, CSR: o.KeyOut != ""}, now()); err != nil {
			return nil, nil, err
		}
		roots := a.Roots()
		issued[i].Entry = e
		issued[i].Bundle = &pki.Bundle{Chain: a.Chain(), Key: keys[i], Roots: roots}
		items[i] = item{entry: e, chain: a.Chain(), roots: roots}
		key, err := pki.MarshalKey(keys[i], pki.PKCS8, o.Secret)
		if err != nil {
			return nil, nil, err
		}
		if o.KeyOut == "" {
			items[i].key = key
		} else {
			items[i].keyOut = &keyOut{file: o.KeyOut, data: key}
		}
	}
	return items, issued, nil
}

// signAuthority signs the draft of an authority: with the key of its parent, or
// with its own if it has none.
func signAuthority(parent *pki.Authority, d *pki.Draft, key crypto.Signer, urls pki.URLs, now func() time.Time) (*pki.Authority, error) {
	var cert *x509.Certificate
	var above, trusted []*x509.Certificate
	var err error
	if parent == nil {
		cert, err = pki.SignRoot(d, key)
	} else {
		cert, err = parent.Sign(d, key.Public())
		above, trusted = parent.FullChain(), parent.Roots()
	}
	if err != nil {
		return nil, err
	}
	return pki.NewAuthority(pki.AuthorityConfig{
		Chain: append([]*x509.Certificate{cert}, above...), Trusted: trusted, Signer: key, URLs: urls, Now: now,
	})
}

// prepareUnder makes the draft of an authority below one that exists, whose key
// must be here.
func (d *Dir) prepareUnder(o AuthorityOrder, parents map[string]*pki.Authority, passphrase Passphrase) (*pki.Draft, error) {
	parent, ok := parents[o.Parent]
	if !ok {
		var err error
		if parent, err = d.Authority(o.Parent, passphrase); err != nil {
			return nil, err
		}
		parents[o.Parent] = parent
	}
	draft, err := parent.PrepareCA(o.Request)
	if err == nil && !parent.CanSign() {
		err = &KeyMissingError{Authority: o.Parent, Path: d.AuthorityKeyPath(o.Parent)}
	}
	return draft, err
}
