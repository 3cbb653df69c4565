package cmd

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"iter"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/manifest"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/internal/plan"
	"github.com/mtlsctl/mtlsctl/pki"
)

// An applyState is what earlier runs of apply left in the PKI directory.
type applyState struct {
	ledger      *ledger.Ledger                   // nil: there is no PKI directory
	wanted      map[string]*manifest.Certificate // of the input, by name
	rows        map[string]*appliedRow           // by name
	issuers     map[manifest.IssuerKey]*manifest.Issuer
	issuerSpecs map[manifest.IssuerKey]json.RawMessage
	caSecrets   map[manifest.Key]string // the authority that writes a CA Secret
	signed      map[string][]string     // by authority; see findSigned
}

// An appliedRow is one certificate or authority. There may be very many, so what
// was applied is a digest: mostly it is what is wanted now.
type appliedRow struct {
	actual  plan.Actual
	serial  string
	place   int // in the order of signing
	applied [sha256.Size]byte
	der     []byte // of an authority
}

// readApplyState reads the ledger of d; with nil, there is nothing.
func readApplyState(ctx context.Context, d *pkidir.Dir, set *manifest.Set) (*applyState, error) {
	s := &applyState{
		wanted:      make(map[string]*manifest.Certificate, len(set.Certificates)),
		rows:        map[string]*appliedRow{},
		issuers:     map[manifest.IssuerKey]*manifest.Issuer{},
		issuerSpecs: map[manifest.IssuerKey]json.RawMessage{},
		caSecrets:   map[manifest.Key]string{},
	}
	if d == nil {
		return s, nil
	}
	for _, c := range set.Certificates {
		s.wanted[c.Key.String()] = c
	}
	if err := d.Manifests(ctx, s.addRow); err != nil {
		return nil, err
	}
	var err error
	if s.ledger, err = d.Ledger(ctx); err != nil {
		return nil, err
	}
	if err := s.findStale(ctx); err != nil {
		return nil, err
	}
	stored, err := s.ledger.Issuers(ctx)
	if err != nil {
		return nil, err
	}
	for _, i := range stored {
		key := manifest.IssuerKey{Kind: i.Kind, Key: manifest.Key{Namespace: i.Namespace, Name: i.Name}}
		issuer := &manifest.Issuer{Origin: manifest.Origin{File: "an earlier apply", Kind: i.Kind, Key: key.Key}}
		if err := json.Unmarshal(i.Spec, &issuer.Spec); err != nil {
			return nil, fmt.Errorf("the record of %s %s in the ledger: %w", i.Kind, key.Key, err)
		}
		s.issuers[key], s.issuerSpecs[key] = issuer, i.Spec
	}
	return s, nil
}

// addRow takes in one row of the ledger.
func (s *applyState) addRow(e *ledger.Entry, applied json.RawMessage, hasKey bool) error {
	row := &appliedRow{serial: e.Serial, place: len(s.rows), applied: sha256.Sum256(applied), actual: plan.Actual{
		Authority: e.Kind == ledger.KindAuthority, Issuer: e.Issuer, NotBefore: e.NotBefore, NotAfter: e.NotAfter,
		HasKey: hasKey, Revoked: !e.RevokedAt.IsZero(), Fingerprint: sha256.Sum256(e.DER),
	}}
	var err error
	if row.actual.Key, err = pkidir.KeyType(e); err != nil {
		return err
	}
	s.rows[e.Name] = row
	if !row.actual.Authority {
		return nil
	}
	row.der = e.DER
	if a, err := decodeApplied(applied); err != nil {
		return fmt.Errorf("%s: %w", e.Name, err)
	} else if a != nil && a.Certificate != nil {
		name, err := pki.ParseName(e.Name)
		if err != nil {
			return err
		}
		s.caSecrets[manifest.Key{Namespace: name.Namespace(), Name: a.SecretSpec().SecretName}] = e.Name
	}
	return nil
}

// findStale finds what was signed with a key that its authority has no more: it
// was signed before the authority was made again.
func (s *applyState) findStale(ctx context.Context) error {
	for name, row := range s.rows {
		by := s.rows[row.actual.Issuer]
		if by == nil || by == row || by.place < row.place {
			continue
		}
		e, err := s.ledger.Current(ctx, name)
		if err != nil {
			return err
		}
		cert, err := x509.ParseCertificate(e.DER)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		ca, err := x509.ParseCertificate(by.der)
		if err != nil {
			return fmt.Errorf("%s: %w", row.actual.Issuer, err)
		}
		row.actual.IssuerChanged = pki.SignedBy(cert, ca) != pki.SignatureGood
	}
	return nil
}

func decodeApplied(data json.RawMessage) (*plan.Applied, error) {
	if len(data) == 0 {
		return nil, nil
	}
	return plan.Decode(data)
}

// actual returns the state of a name; nil if there is nothing.
func (s *applyState) actual(ctx context.Context, name string) (*plan.Actual, error) {
	row := s.rows[name]
	if row == nil {
		return nil, nil
	}
	actual := row.actual
	if c := s.wanted[name]; c != nil {
		applied := plan.NewApplied(c)
		data, err := applied.Encode()
		if err != nil {
			return nil, err
		}
		if sha256.Sum256(data) == row.applied {
			actual.Applied = applied
			return &actual, nil
		}
	}
	e, err := s.ledger.Current(ctx, name)
	if err != nil {
		return nil, err
	}
	actual.Applied, err = decodeApplied(e.Manifest)
	return &actual, err
}

// serial returns the serial of the certificate that a name stands for.
func (s *applyState) serial(name string) string {
	if row := s.rows[name]; row != nil {
		return row.serial
	}
	return ""
}

// names are those that manifests made.
func (s *applyState) names() iter.Seq[string] {
	none := sha256.Sum256(nil)
	return func(yield func(string) bool) {
		for name, row := range s.rows {
			if row.applied != none && !yield(name) {
				return
			}
		}
	}
}

// findSigned finds what commands had signed by authorities that manifests made.
func (s *applyState) findSigned(ctx context.Context) error {
	if s.ledger == nil {
		return nil
	}
	s.signed = map[string][]string{}
	return s.ledger.Each(ctx, ledger.Filter{}, func(e *ledger.Entry) error {
		if s.rows[e.Name] == nil && s.rows[e.Issuer] != nil {
			s.signed[e.Issuer] = append(s.signed[e.Issuer], e.Name)
		}
		return nil
	})
}

// signedBy are the names whose certificates an authority signed; those that
// commands made are among them after findSigned.
func (s *applyState) signedBy(authority string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for name, row := range s.rows {
			if row.actual.Issuer == authority && name != authority && !yield(name) {
				return
			}
		}
		for _, name := range s.signed[authority] {
			if !yield(name) {
				return
			}
		}
	}
}

func (s *applyState) caSecret(key manifest.Key) (string, bool) {
	name, ok := s.caSecrets[key]
	return name, ok
}

// keyPair reads the key pair that a Secret of the input brings.
func keyPair(s *manifest.Secret) ([]*x509.Certificate, crypto.Signer, error) {
	certs, err := pki.ParseCertificates(s.Data[pkidir.ChainFile])
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", pkidir.ChainFile, err)
	}
	var roots []*x509.Certificate
	if len(s.Data[pkidir.RootsFile]) > 0 {
		if roots, err = pki.ParseCertificates(s.Data[pkidir.RootsFile]); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", pkidir.RootsFile, err)
		}
	}
	chain, err := pki.ChainOf(certs, roots)
	if err != nil {
		return nil, nil, err
	}
	key, err := pki.ParseKey(s.Data[pkidir.KeyFile], nil)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", pkidir.KeyFile, err)
	}
	return chain, key, nil
}
