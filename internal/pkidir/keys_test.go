package pkidir

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"testing"

	"github.com/mtlsctl/mtlsctl/pki"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	d := open(t, path)
	issue(t, d, false, serverOrder(t, "a.example.com"))
	key := d.AuthorityKeyPath("issuing")
	good, err := os.ReadFile(key)
	must(t, err)
	sign := func() error {
		_, err := d.Issue(context.Background(), []Order{serverOrder(t, "b.example.com")}, IssueOptions{Passphrase: noPassphrase})
		return err
	}

	for _, mode := range []fs.FileMode{0o640, 0o604, 0o660, 0o644, 0o777} {
		must(t, os.Chmod(key, mode))
		if err := sign(); !errors.Is(err, ErrLooseKeyMode) && runtime.GOOS != "windows" {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	must(t, os.Chmod(key, 0o600))

	write := func(data []byte) { t.Helper(); must(t, os.WriteFile(key, data, 0o600)) }
	write([]byte("no key"))
	if err := sign(); !errors.Is(err, ErrBadKey) {
		t.Errorf("no key: %v", err)
	}
	other, err := os.ReadFile(d.AuthorityKeyPath("root"))
	must(t, err)
	write(other)
	if err := sign(); !errors.Is(err, pki.ErrKeyMismatch) {
		t.Errorf("another's key: %v", err)
	}
	must(t, os.Remove(key))
	err = sign()
	if e, ok := errors.AsType[*KeyMissingError](err); !ok || e.Authority != "issuing" || e.Path != key || !errors.Is(err, pki.ErrNoKey) {
		t.Errorf("no key there: %v", err)
	}

	// What needs no key does without.
	if a, err := d.Authority("issuing", noPassphrase); err != nil || a.CanSign() {
		t.Errorf("an authority without its key: %v", err)
	}
	if b, err := d.Bundle("issuing", noPassphrase); err != nil || b.Key != nil {
		t.Errorf("a bundle without its key: %v", err)
	}
	if drafts, err := d.Prepare("", []Order{serverOrder(t, "b.example.com")}); err != nil || len(drafts) != 1 {
		t.Errorf("a draft: %v", err)
	}

	// A passphrase whose file is not there is not a key that is not there.
	signer, err := pki.ParseKey(good, nil)
	must(t, err)
	encrypted, err := pki.MarshalKey(signer, pki.PKCS8, []byte("secret"))
	must(t, err)
	write(encrypted)
	for what, tt := range map[string]struct {
		passphrase Passphrase
		want       error
	}{
		"none":    {noPassphrase, pki.ErrPassphrase},
		"wrong":   {func() ([]byte, error) { return []byte("wrong"), nil }, pki.ErrPassphrase},
		"missing": {func() ([]byte, error) { return nil, fs.ErrNotExist }, fs.ErrNotExist},
		"right":   {func() ([]byte, error) { return []byte("secret"), nil }, nil},
	} {
		_, err := d.Issue(t.Context(), []Order{serverOrder(t, "c.example.com")}, IssueOptions{Passphrase: tt.passphrase})
		if !errors.Is(err, tt.want) || errors.Is(err, pki.ErrNoKey) {
			t.Errorf("passphrase %s: %v, want %v", what, err, tt.want)
		}
	}

	// A certificate's own key is the user's to share; another's is refused.
	own := d.Path(certificatesDir, "a.example.com", KeyFile)
	must(t, os.Chmod(own, 0o644))
	if b, err := d.Bundle("a.example.com", noPassphrase); err != nil || b.Key == nil {
		t.Errorf("a shared key: %v", err)
	}
	must(t, os.WriteFile(own, other, 0o600))
	if _, err := d.Bundle("a.example.com", noPassphrase); !errors.Is(err, pki.ErrKeyMismatch) {
		t.Errorf("another's key in a bundle: %v", err)
	}
}

// Somebody else's key is not there, and is not missed.
func TestPublicKeyOnly(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	d := open(t, path)
	pub, _, err := ed25519.GenerateKey(nil)
	must(t, err)
	order := serverOrder(t, "a.example.com")
	order.Request.PublicKey = pub
	issued := issue(t, d, false, order)[0]
	if issued.Bundle.Key != nil {
		t.Error("there is a key")
	}
	b, err := d.Bundle("a.example.com", noPassphrase)
	if err != nil || b.Key != nil {
		t.Errorf("Bundle = %v", err)
	}
	if _, err := os.Stat(d.Path(certificatesDir, "a.example.com", KeyFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key file: %v", err)
	}
	check(t, path)
}
