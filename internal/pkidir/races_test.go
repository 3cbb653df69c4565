package pkidir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkitest"
)

func TestIssueAtOnce(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range 8 {
		wg.Go(func() {
			d, err := Open(path, pkitest.Clock)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() {
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			}()
			if _, err := d.Issue(context.Background(), []Order{serverOrder(t, fmt.Sprintf("own%d.example.com", i))}, IssueOptions{Passphrase: noPassphrase}); err != nil {
				t.Error(err)
			}
			_, err = d.Issue(context.Background(), []Order{serverOrder(t, "shared.example.com")}, IssueOptions{Passphrase: noPassphrase})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
			case !errors.Is(err, ledger.ErrExists):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d won", won)
	}
	check(t, path)
}

// Of several processes that make one directory, one wins, and the others find
// what it made.
func TestCreateAtOnce(t *testing.T) {
	t.Parallel()
	for _, prepare := range map[string]func(path string) error{
		"nothing": func(string) error { return nil },
		"empty":   func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		path := filepath.Join(t.TempDir(), "pki")
		must(t, prepare(path))
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for range 6 {
			wg.Go(func() {
				_, err := CreateAuthorities(context.Background(), path, pkitest.Clock, []AuthorityOrder{
					authorityOrder(t, "root", ""), authorityOrder(t, "issuing", "root"),
				}, AuthorityOptions{Passphrase: noPassphrase})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					won++
				case !errors.Is(err, ledger.ErrExists):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won != 1 {
			t.Errorf("%d won", won)
		}
		d := open(t, path)
		if d.DefaultAuthority() != "issuing" {
			t.Errorf("the default is %q", d.DefaultAuthority())
		}
		check(t, path)
		left, err := os.ReadDir(filepath.Dir(path))
		must(t, err)
		if len(left) != 1 {
			t.Errorf("beside it is %v", left)
		}
	}
}

// A call that fails before anything is on record leaves nothing.
func TestCreateFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for what, ctx := range map[string]context.Context{"canceled": canceled, "no parent": t.Context()} {
		orders := []AuthorityOrder{authorityOrder(t, "root", "")}
		if what == "no parent" {
			orders = []AuthorityOrder{authorityOrder(t, "sub", "nobody")}
		}
		if _, err := CreateAuthorities(ctx, filepath.Join(dir, "a", "b", "pki"), pkitest.Clock, orders, AuthorityOptions{Passphrase: noPassphrase}); err == nil {
			t.Errorf("%s: no error", what)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("%s: left is %v, %v", what, left, err)
		}
	}
}

// Who waits for the lock can be told to stop.
func TestLockWaits(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	first, second := open(t, path), open(t, path)
	unlock, err := first.lock(t.Context())
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	waited := make(chan error, 1)
	go func() {
		_, err := second.Issue(ctx, []Order{serverOrder(t, "a.example.com")}, IssueOptions{Passphrase: noPassphrase})
		waited <- err
	}()
	select {
	case err := <-waited:
		t.Errorf("it did not wait: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	cancel()
	if err := <-waited; !errors.Is(err, context.Canceled) {
		t.Errorf("it was told to stop: %v", err)
	}
	must(t, unlock())
	issue(t, open(t, path), false, serverOrder(t, "a.example.com"))
	check(t, path)
}
