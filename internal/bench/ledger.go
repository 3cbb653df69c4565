package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
)

const (
	ledgerRows  = 1_000_000
	ledgerBatch = 20_000
	ledgerDue   = 100     // end within 30 days
	ledgerCRL   = 100_000 // are revoked
	ledgerRatio = 1.2     // of an empty ledger
	derSize     = 700     // bytes of a certificate

	listTime  = 100 * time.Millisecond
	crlTime   = 2 * time.Second
	crlMemory = 200 * mib
)

// compareLedger times what must not grow with the ledger: one certificate, and
// what is about to end, in a ledger of a million rows; and measures a CRL of a
// tenth of them.
func compareLedger(ctx context.Context, binary, dir string, rounds int) error {
	const empty, full = "ledger-empty", "ledger-full"
	t := tool{dir: dir, env: []string{"MTLSCTL_PKI="}}
	run := func(args ...string) (time.Duration, int64, error) {
		start := time.Now()
		memory, err := t.exec(ctx, "", append([]string{binary, "--quiet"}, args...))
		return time.Since(start), memory, err
	}
	for _, pki := range []string{empty, full} {
		if _, _, err := run("--pki", pki, "init-ca"); err != nil {
			return err
		}
	}
	start := time.Now()
	// In a process of its own: what this one ever used counts for those it starts.
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if _, err := t.exec(ctx, "", []string{self, "-fill", filepath.Join(full, "ledger.db")}); err != nil {
		return err
	}
	filled := time.Since(start)
	times := map[string][]time.Duration{}
	for round := range rounds + 1 {
		for _, c := range []struct {
			name string
			args []string
		}{
			{empty, []string{"--pki", empty, "issue", "client", fmt.Sprintf("client-%d", round)}},
			{full, []string{"--pki", full, "issue", "client", fmt.Sprintf("client-%d", round)}},
			{"list", []string{"--pki", full, "list", "--expiring", "30d"}},
		} {
			took, _, err := run(c.args...)
			if err != nil {
				return err
			}
			if round > 0 { // round 0 fills the page cache
				times[c.name] = append(times[c.name], took)
			}
		}
	}
	took, memory, err := run("--pki", full, "crl")
	if err != nil {
		return err
	}
	base, grown, list := median(times[empty]), median(times[full]), median(times["list"])
	ratio := float64(grown) / float64(base)
	fmt.Printf("\na ledger of %d certificates (filled in %.0f s), median of %d:\n", ledgerRows, filled.Seconds(), rounds)
	fmt.Printf("  issue in an empty ledger    %6.1f ms   1.00\n", milliseconds(base))
	fmt.Printf("  issue there                 %6.1f ms   %.2f\n", milliseconds(grown), ratio)
	fmt.Printf("  list --expiring 30d (%d)   %6.1f ms\n", ledgerDue, milliseconds(list))
	fmt.Printf("a CRL of %d entries: %.2f s, peak memory %.0f MiB\n", ledgerCRL, took.Seconds(), float64(memory)/mib)
	var failures []error
	if ratio > ledgerRatio {
		failures = append(failures, fmt.Errorf("issue in a ledger of %d rows takes %.2f times as long as in an empty one; the limit is %.1f", ledgerRows, ratio, ledgerRatio))
	}
	if list > listTime {
		failures = append(failures, fmt.Errorf("list --expiring takes %.0f ms; the limit is %d", milliseconds(list), listTime.Milliseconds()))
	}
	if took > crlTime {
		failures = append(failures, fmt.Errorf("a CRL of %d entries takes %.1f s; the limit is %.0f", ledgerCRL, took.Seconds(), crlTime.Seconds()))
	}
	if memory > crlMemory {
		failures = append(failures, fmt.Errorf("a CRL of %d entries takes %.0f MiB; the limit is %d", ledgerCRL, float64(memory)/mib, crlMemory/mib))
	}
	return errors.Join(failures...)
}

// fillLedger records certificates that nobody signed.
func fillLedger(ctx context.Context, path string) error {
	l, err := ledger.Open(ctx, path)
	if err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Second)
	l.SetActor(ledger.Actor{Command: "bench", Now: func() time.Time { return now }})
	// In order: what goes to one place of an index at a time is quick, and the
	// index is the same.
	serials := make([][16]byte, ledgerRows)
	for i := range serials {
		_, _ = rand.Read(serials[i][:])
	}
	slices.SortFunc(serials, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) })
	der := make([]byte, derSize)
	_, _ = rand.Read(der)
	at := func(i int) *ledger.Entry {
		end := now.AddDate(0, 2, i%300)
		if i%(ledgerRows/ledgerDue) == 0 {
			end = now.AddDate(0, 0, 1+i%25)
		}
		name := fmt.Sprintf("bulk/client-%07d", i)
		return &ledger.Entry{
			Name: name, Kind: ledger.KindCertificate, Profile: "client", Issuer: "issuing", Serial: hex.EncodeToString(serials[i][:]),
			Subject: "CN=" + name, SANs: []string{"DNS " + name}, NotBefore: now, NotAfter: end, IssuedAt: now,
			Request: json.RawMessage(`{"key":"ec-p256","sans":["dns:client.example.com"]}`), DER: der,
		}
	}
	for begin := 0; begin < ledgerRows && err == nil; begin += ledgerBatch {
		err = l.RecordEach(ctx, ledger.ActionIssue, min(ledgerBatch, ledgerRows-begin), func(i int) (*ledger.Entry, bool) { return at(begin + i), false })
	}
	var changes []ledger.Change
	for i := 1; i < ledgerRows; i += ledgerRows / ledgerCRL {
		changes = append(changes, ledger.Change{Issuer: "issuing", Serial: hex.EncodeToString(serials[i][:]), At: now, Reason: 1})
	}
	if err == nil {
		err = l.Publish(ctx, changes, nil)
	}
	return errors.Join(err, l.Close())
}

func median(times []time.Duration) time.Duration {
	t := tool{times: times}
	return t.median()
}
