package cmd_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
)

// ledger PKI
func cmdLedger(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, !neg && len(args) == 1, "ledger PKI")
	now, err := time.Parse(time.RFC3339, ts.Getenv(envNow))
	ts.Check(err)
	entries, err := readLedger(ts.MkAbs(args[0]))
	ts.Check(err)
	for _, e := range entries {
		_, err := fmt.Fprintf(ts.Stdout(), "%s %s %s by %s %s %s\n", e.Name, e.Kind, e.Profile, e.Issuer, e.Status(now), e.Serial)
		ts.Check(err)
	}
}

// readLedger returns everything in the ledger of a PKI directory.
func readLedger(dir string) (all []*ledger.Entry, err error) {
	l, err := ledger.OpenReadOnly(context.Background(), filepath.Join(dir, "ledger.db"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	err = l.Each(context.Background(), ledger.Filter{All: true}, func(e *ledger.Entry) error {
		all = append(all, e)
		return nil
	})
	return all, err
}

// consistent PKI
func cmdConsistent(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, !neg && len(args) == 1, "consistent PKI")
	ts.Check(checkConsistent(ts.MkAbs(args[0])))
}

// checkConsistent holds a PKI directory to the promises: what is in a folder or
// among the keys is in the ledger and the other way round, no serial is used
// twice, nothing is half-written, no key is loose.
func checkConsistent(dir string) error {
	entries, err := readLedger(dir)
	if err != nil {
		return err
	}
	keys, err := readKeys(dir)
	if err != nil {
		return err
	}
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	expected, serials := map[string]bool{}, map[string]bool{}
	for _, e := range entries {
		if id := e.Issuer + " " + e.Serial; serials[id] {
			fail("the serial %s is in the ledger twice", id)
		} else {
			serials[id] = true
		}
		if !e.Current {
			continue
		}
		if e.Kind == ledger.KindCertificate && strings.Contains(e.Name, "/") {
			id := keyID{e.Issuer, e.Serial}
			if err := checkKept(e, keys[id]); err != nil {
				fail("%s: %w", e.Name, err)
			}
			delete(keys, id)
			continue
		}
		folder := map[string]string{ledger.KindAuthority: "authorities", ledger.KindCertificate: "certificates"}[e.Kind] +
			"/" + strings.Replace(e.Name, "/", "~", 1)
		expected[folder] = true
		if err := checkFolder(filepath.Join(dir, folder), e); err != nil {
			fail("%s: %w", folder, err)
		}
	}
	for id := range keys {
		if id.serial == "service-accounts" && expected["authorities/"+id.issuer] { // of kubeadm; it has no certificate
			continue
		}
		fail("keys.db has a key of %s by %s, which the ledger has no more", id.serial, id.issuer)
	}
	for _, parent := range []string{"authorities", "certificates", ".staging"} {
		found, err := os.ReadDir(filepath.Join(dir, parent))
		if err != nil {
			return err
		}
		for _, f := range found {
			if name := parent + "/" + f.Name(); !expected[name] {
				fail("%s is there, and not by the ledger", name)
			}
		}
	}
	tree, err := fingerprint(dir)
	for path := range tree {
		if strings.HasPrefix(filepath.Base(path), ".mtlsctl-") {
			fail("%s was left behind", path)
		}
	}
	return errors.Join(append(errs, err)...)
}

// A keyID says which certificate a key of keys.db belongs to.
type keyID struct{ issuer, serial string }

// readKeys returns the keys that have no folder, in PKCS#8; none if there is no
// file.
func readKeys(dir string) (keys map[keyID][]byte, err error) {
	file := filepath.Join(dir, "keys.db")
	files, err := filepath.Glob(file + "*") // with the journal
	if err != nil || len(files) == 0 {
		return nil, err
	}
	for _, f := range files {
		info, err := os.Lstat(f)
		if err != nil {
			return nil, err
		}
		if runtime.GOOS != "windows" && info.Mode() != 0o600 {
			return nil, fmt.Errorf("%s has mode %v", f, info.Mode())
		}
	}
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	rows, err := db.Query("SELECT issuer, serial, pkcs8 FROM keys")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	keys = map[keyID][]byte{}
	for rows.Next() {
		var id keyID
		var pkcs8 []byte
		if err := rows.Scan(&id.issuer, &id.serial, &pkcs8); err != nil {
			return nil, err
		}
		keys[id] = pkcs8
	}
	return keys, rows.Err()
}

// checkKept checks the key of a ledger entry that has no folder.
func checkKept(e *ledger.Entry, pkcs8 []byte) error {
	var request struct {
		CSR bool `json:"csr"` // the key is somebody else's
	}
	if err := json.Unmarshal(e.Request, &request); err != nil {
		return err
	}
	switch {
	case request.CSR && pkcs8 != nil:
		return errors.New("keys.db has a key, and it is to be somebody else's")
	case request.CSR:
		return nil
	case pkcs8 == nil:
		return errors.New("keys.db has no key of it")
	}
	key, err := x509.ParsePKCS8PrivateKey(pkcs8)
	if err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(e.DER)
	if err != nil {
		return err
	}
	if signer, ok := key.(crypto.Signer); !ok || !pki.SamePublicKey(signer.Public(), cert.PublicKey) {
		return errors.New("its key in keys.db is of another certificate")
	}
	return nil
}

// checkFolder checks the folder of a ledger entry.
func checkFolder(folder string, e *ledger.Entry) error {
	chain, err := os.ReadFile(filepath.Join(folder, "tls.crt"))
	if err != nil {
		return err
	}
	certs, err := pki.ParseCertificates(chain)
	if err != nil {
		return err
	}
	if !bytes.Equal(certs[0].Raw, e.DER) {
		return errors.New("tls.crt is not what the ledger has")
	}
	if _, err := os.Stat(filepath.Join(folder, "ca.crt")); err != nil {
		return err
	}
	file := filepath.Join(folder, "tls.key")
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || err == nil && pki.KeyIsEncrypted(data) {
		return nil
	}
	if err != nil {
		return err
	}
	key, err := pki.ParseKey(data, nil)
	if err != nil {
		return err
	}
	if !pki.SamePublicKey(key.Public(), certs[0].PublicKey) {
		return errors.New("tls.key is of another certificate")
	}
	if info, err := os.Stat(file); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		return fmt.Errorf("tls.key has mode %v: %w", info.Mode(), err)
	}
	return nil
}

// unfinish PKI NAME puts a certificate back to where a process that was killed
// right after the ledger had it would have left it.
func cmdUnfinish(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, !neg && len(args) == 2, "unfinish PKI NAME")
	dir := ts.MkAbs(args[0])
	entries, err := readLedger(dir)
	ts.Check(err)
	for _, e := range entries {
		if e.Name != args[1] || !e.Current {
			continue
		}
		parent := "certificates"
		if e.Kind == ledger.KindAuthority {
			parent = "authorities"
		}
		stage := filepath.Join(dir, ".staging", e.Serial+"."+e.Issuer)
		ts.Check(os.Rename(filepath.Join(dir, parent, e.Name), stage))
		ts.Check(os.Remove(filepath.Join(stage, "tls.crt")))
		ts.Check(os.Remove(filepath.Join(stage, "ca.crt")))
		return
	}
	ts.Fatalf("there is no %s in the ledger", args[1])
}

// userversion LEDGER N makes the ledger one of another format.
func cmdUserVersion(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, !neg && len(args) == 2, "userversion LEDGER N")
	n, err := strconv.ParseUint(args[1], 10, 32)
	ts.Check(err)
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_RDWR, 0)
	ts.Check(err)
	// The user version is at offset 60 of an SQLite database, four bytes.
	_, err = f.WriteAt(binary.BigEndian.AppendUint32(nil, uint32(n)), 60)
	ts.Check(errors.Join(err, f.Close()))
}
