package pkitest_test

import (
	"testing"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, kind := range profiles.KeyTypes() {
		for _, owner := range []pkitest.Owner{pkitest.RootKey, pkitest.IssuingKey, pkitest.LeafKey} {
			if got, err := pki.KeyTypeOf(pkitest.Key(t, kind, owner).Public()); got != kind || err != nil {
				t.Errorf("%s of %s is %s, %v", kind, owner, got, err)
			}
			seen[string(pkitest.KeyPEM(t, kind, owner))] = true
		}
	}
	if len(seen) != 7*3 {
		t.Errorf("%d different keys", len(seen))
	}
}

// The same key and clock in every run; what chance adds is the serial.
func TestAuthorities(t *testing.T) {
	t.Parallel()
	a, b := pkitest.Issuing(t), pkitest.Issuing(t)
	if !pki.SamePublicKey(a.Certificate().PublicKey, b.Certificate().PublicKey) || !a.Certificate().NotAfter.Equal(b.Certificate().NotAfter) {
		t.Error("two runs differ")
	}
	if len(a.FullChain()) != 2 || a.Root().Subject.CommonName != "Test root CA" || a.Certificate().Subject.CommonName != "Test issuing CA" {
		t.Errorf("chain of %d up to %s", len(a.FullChain()), a.Root().Subject)
	}
	leaf := pkitest.Issue(t, a, profiles.Server(), pki.Request{SANs: pkitest.SANs(t, "a.example")}).Leaf()
	if !leaf.NotBefore.Before(pkitest.Clock()) || !leaf.NotAfter.After(pkitest.Clock()) {
		t.Errorf("not valid at the clock's time: %v to %v", leaf.NotBefore, leaf.NotAfter)
	}
}
