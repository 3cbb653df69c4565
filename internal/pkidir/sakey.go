package pkidir

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/mtlsctl/mtlsctl/internal/keystore"
	"github.com/mtlsctl/mtlsctl/pki"
)

// serviceAccounts stands for the serial of a key that has no certificate: no
// serial, which is hexadecimal, is the same.
const serviceAccounts = "service-accounts"

func serviceAccountID(authority string) keystore.ID {
	return keystore.ID{Issuer: authority, Serial: serviceAccounts}
}

// ServiceAccountKey returns the key that signs the tokens of the service accounts
// of the Kubernetes cluster whose authority is named, or [pki.ErrNoKey]. It is
// among the keys of keys.db, and nowhere in the ledger: there is no certificate of
// it. All that becomes of the authority leaves it alone.
func (d *Dir) ServiceAccountKey(ctx context.Context, authority string) (crypto.Signer, error) {
	keys, err := d.openKeys(ctx, false)
	if errors.Is(err, ErrNoKeys) {
		return nil, pki.ErrNoKey
	}
	if err != nil {
		return nil, err
	}
	return d.serviceAccountKey(ctx, keys, authority)
}

func (d *Dir) serviceAccountKey(ctx context.Context, keys *keystore.Store, authority string) (crypto.Signer, error) {
	return d.signerIn(ctx, keys, serviceAccountID(authority), fmt.Sprintf("the service accounts of %q", authority))
}

// KeepServiceAccountKey keeps a key for [Dir.ServiceAccountKey], unless there is
// one, and returns what is kept once it is durable. The one that was there first
// stays: all API servers of a cluster have the same.
func (d *Dir) KeepServiceAccountKey(ctx context.Context, authority string, key crypto.Signer) (_ crypto.Signer, err error) {
	authority, err = d.resolveAuthority(authority)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := d.checkWritable(); err != nil {
		return nil, err
	}
	unlock, err := d.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	keys, err := d.openKeys(ctx, true)
	if err != nil {
		return nil, err
	}
	if kept, err := d.serviceAccountKey(ctx, keys, authority); !errors.Is(err, pki.ErrNoKey) {
		return kept, err
	}
	if err := keys.Put(ctx, []keystore.Key{{ID: serviceAccountID(authority), PKCS8: der}}); err != nil {
		return nil, d.keysError(err)
	}
	return key, nil
}
