//go:build !windows

package cmd_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
)

// envStress makes the tests that kill and crowd do so in full: `make stress`.
const envStress = "MTLSCTL_STRESS"

const (
	crowd   = 32
	crowdIn = 5 * time.Second // nobody waits longer
)

// TestCrowd lets many processes issue, renew and revoke at once in one PKI
// directory, with names of their own and names that they share. Each is done or
// says why not, none waits long, and everything that was done is on record once.
func TestCrowd(t *testing.T) {
	t.Parallel()
	operations := 320
	if os.Getenv(envStress) != "" {
		operations = 3040
	}
	work := t.TempDir()
	setup := [][]string{{"init-ca"}}
	for i := range crowdShares {
		setup = append(setup, []string{"issue", "client", fmt.Sprint("shared-", i)})
	}
	var alone time.Duration // the longest of these
	for _, args := range setup {
		began := time.Now()
		if _, stderr, code := mtlsctl(t, work, args...); code != 0 {
			t.Fatalf("mtlsctl %v: %s", args, stderr)
		}
		alone = max(alone, time.Since(began))
	}

	var wait sync.WaitGroup
	members := make([]crowdMember, crowd)
	for i := range members {
		m := &members[i]
		m.work, m.id, m.random = work, i, rand.New(rand.NewPCG(7, uint64(i)))
		wait.Go(func() {
			for range operations / crowd {
				m.act()
			}
		})
	}
	wait.Wait()

	var sum crowdMember
	for i := range members {
		sum.add(&members[i])
	}
	for _, f := range sum.failures {
		t.Error(f)
	}
	if sum.longest > crowdIn+alone {
		t.Errorf("somebody waited for %s", sum.longest)
	}
	if n := sum.issued + sum.renewed + sum.revoked + sum.refused; n != operations && !t.Failed() {
		t.Errorf("%d operations, not %d", n, operations)
	}
	t.Logf("%d issued, %d renewed, %d revoked, %d refused; the longest took %s", sum.issued, sum.renewed, sum.revoked, sum.refused, sum.longest)
	if min(sum.issued, sum.renewed, sum.revoked, sum.refused) == 0 {
		t.Error("some kind of operation is missing")
	}

	entries, err := readLedger(filepath.Join(work, "pki"))
	if err != nil {
		t.Fatal(err)
	}
	const authorities = 2
	if want := authorities + crowdShares + sum.issued + sum.renewed; len(entries) != want {
		t.Errorf("the ledger has %d certificates, and %d were made", len(entries), want)
	}
	revoked := 0
	for _, e := range entries {
		if !e.RevokedAt.IsZero() {
			revoked++
		}
	}
	if revoked != sum.revoked {
		t.Errorf("%d certificates are revoked in the ledger, and %d were revoked", revoked, sum.revoked)
	}
	checkCRLsGrow(t, filepath.Join(work, "pki"), sum.revoked)
	if err := checkConsistent(filepath.Join(work, "pki")); err != nil {
		t.Error(err)
	}
}

// crowdShares is how many names everybody uses.
const crowdShares = 6

// A crowdMember runs one process after the other, and counts.
type crowdMember struct {
	work     string
	id       int
	random   *rand.Rand
	names    []string // its own
	good     []string // of these, not revoked
	issued   int
	renewed  int
	revoked  int
	refused  int // for a good reason
	longest  time.Duration
	failures []string
}

func (m *crowdMember) add(o *crowdMember) {
	m.issued, m.renewed, m.revoked, m.refused = m.issued+o.issued, m.renewed+o.renewed, m.revoked+o.revoked, m.refused+o.refused
	m.longest = max(m.longest, o.longest)
	m.failures = append(m.failures, o.failures...)
}

// act does one of the things there are to do. What concerns its own names has to
// be done.
func (m *crowdMember) act() {
	shared := fmt.Sprint("shared-", m.random.IntN(crowdShares))
	switch n := m.random.IntN(100); {
	case n < 40 || len(m.names) == 0:
		name := fmt.Sprintf("w%d-%d.example.com", m.id, len(m.names))
		m.run(&m.issued, "", "issue", "server", name)
		m.names, m.good = append(m.names, name), append(m.good, name)
	case n < 50:
		m.run(&m.issued, `mtlsctl: certificate "`+shared+`" exists already`, "issue", "client", shared)
	case n < 70:
		name := m.names[m.random.IntN(len(m.names))]
		m.run(&m.renewed, "", "renew", name)
		if !slices.Contains(m.good, name) {
			m.good = append(m.good, name)
		}
	case n < 80:
		m.run(&m.renewed, "", "renew", shared)
	case n < 90 && len(m.good) > 0:
		i := m.random.IntN(len(m.good))
		m.run(&m.revoked, "", "revoke", m.good[i])
		m.good = slices.Delete(m.good, i, i+1)
	default:
		m.run(&m.revoked, `mtlsctl: "`+shared+`" is revoked already`, "revoke", shared)
	}
}

// run runs mtlsctl, which may say no with the error that is given.
func (m *crowdMember) run(count *int, no string, args ...string) {
	c := exec.Command("mtlsctl", append([]string{"--pki", filepath.Join(m.work, "pki")}, args...)...)
	c.Env = append(os.Environ(), envNow+"="+pkitest.Clock().Format(time.RFC3339))
	var stderr bytes.Buffer
	c.Stderr = &stderr
	began := time.Now()
	err := c.Run()
	m.longest = max(m.longest, time.Since(began))
	var exit *exec.ExitError
	switch {
	case err == nil:
		*count++
	case no != "" && errors.As(err, &exit) && exit.ExitCode() == 1 && strings.HasPrefix(stderr.String(), no):
		m.refused++
	default:
		m.failures = append(m.failures, fmt.Sprintf("mtlsctl %v: %v: %s", args, err, stderr.String()))
	}
}

// checkCRLsGrow checks that as many CRLs as were asked for are on record, each
// with a number one greater than the one before, and that the last is in its place.
func checkCRLsGrow(t *testing.T, dir string, want int) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // it was only read
	rows, err := db.Query("SELECT detail FROM log WHERE action = 'crl' ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // it was only read
	var last int64
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n != last+1 {
			t.Errorf("after CRL %d comes %d", last, n)
		}
		last = n
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if int(last) != want {
		t.Errorf("the last CRL is %d, after %d revocations", last, want)
	}
	crl, err := readCRL(filepath.Join(dir, "authorities", "issuing", "crl.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if n := crl.Number.Int64(); n != last || len(crl.RevokedCertificateEntries) != want {
		t.Errorf("crl.pem has number %d and %d entries, not %d and %d", n, len(crl.RevokedCertificateEntries), last, want)
	}
}
