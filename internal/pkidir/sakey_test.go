package pkidir

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

func newServiceAccountKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := pki.GenerateKey(profiles.ECP256)
	must(t, err)
	return key
}

// The first key of an authority is the one that stays, whatever becomes of the
// authority, and it goes along in a backup.
func TestServiceAccountKey(t *testing.T) {
	t.Parallel()
	path, ctx := newPath(t), context.Background()
	d := open(t, path)
	if _, err := d.ServiceAccountKey(ctx, "root"); !errors.Is(err, pki.ErrNoKey) {
		t.Errorf("before there is one: %v", err)
	}
	first, second := newServiceAccountKey(t), newServiceAccountKey(t)
	if _, err := d.KeepServiceAccountKey(ctx, "nobody", first); !errors.Is(err, ErrNoAuthority) {
		t.Errorf("of no authority: %v", err)
	}
	for _, key := range []crypto.Signer{first, second, first} {
		kept, err := d.KeepServiceAccountKey(ctx, "root", key)
		must(t, err)
		if !pki.SamePublicKey(kept.Public(), first.Public()) {
			t.Error("the first one did not stay")
		}
	}
	if _, err := d.ServiceAccountKey(ctx, "issuing"); !errors.Is(err, pki.ErrNoKey) {
		t.Errorf("of another authority: %v", err)
	}
	if _, err := d.RenewAuthority(ctx, "root", AuthorityRenewal{Rollover: true, Passphrase: noPassphrase, CRLValidity: 1 << 40}); err != nil {
		t.Fatal(err)
	}
	mustHave := func(path string) {
		t.Helper()
		kept, err := open(t, path).ServiceAccountKey(ctx, "Root")
		must(t, err)
		if !pki.SamePublicKey(kept.Public(), first.Public()) {
			t.Errorf("%s has another key", path)
		}
	}
	mustHave(path)

	backup, err := os.Create(filepath.Join(t.TempDir(), "pki.tar"))
	must(t, err)
	defer func() { must(t, backup.Close()) }()
	_, err = d.Backup(ctx, backup, false)
	must(t, err)
	_, err = backup.Seek(0, 0)
	must(t, err)
	restored := filepath.Join(t.TempDir(), "pki")
	_, err = Restore(ctx, restored, d.now, backup, "restore")
	must(t, err)
	mustHave(restored)

	ledger, err := os.ReadFile(d.Path(ledgerFile))
	must(t, err)
	pem, err := pki.MarshalKey(first, pki.SEC1, nil)
	must(t, err)
	if secret := strings.Split(string(pem), "\n")[1]; bytes.Contains(ledger, []byte(secret)) {
		t.Error("the key is in the ledger")
	}
}

// Nodes that are made at once get the same key.
func TestServiceAccountKeyAtOnce(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	var wg sync.WaitGroup
	kept := make([]crypto.Signer, 4)
	for i := range kept {
		d, key := open(t, path), newServiceAccountKey(t)
		wg.Go(func() {
			var err error
			if kept[i], err = d.KeepServiceAccountKey(context.Background(), "root", key); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, k := range kept {
		if k == nil || !pki.SamePublicKey(k.Public(), kept[0].Public()) {
			t.Fatal("they have different keys")
		}
	}
}

// In one's turn, nobody else has one; all else goes on.
func TestTurn(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	d, other := open(t, path), open(t, path)
	end, err := d.Turn(t.Context())
	must(t, err)
	_, err = other.KeepServiceAccountKey(t.Context(), "root", newServiceAccountKey(t))
	must(t, err)
	waiting := make(chan error)
	go func() {
		end, err := other.Turn(context.Background())
		if err == nil {
			err = end()
		}
		waiting <- err
	}()
	third, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := other.Turn(third); !errors.Is(err, context.Canceled) {
		t.Errorf("who does not wait: %v", err)
	}
	select {
	case err := <-waiting:
		t.Fatalf("two have their turn: %v", err)
	default:
	}
	must(t, end())
	must(t, <-waiting)
}
