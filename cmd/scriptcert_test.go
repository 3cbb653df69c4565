package cmd_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
)

// cert FILE KEY=VALUE...
func cmdCert(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, !neg, "cert FILE KEY=VALUE...")
	ts.Check(pkitest.CheckCertificate(reader(ts), args))
}

// nokey FILE KEYFILE...
func cmdNoKey(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, !neg && len(args) > 0, "nokey FILE KEYFILE...")
	data, err := reader(ts)(args[0])
	ts.Check(err)
	if bytes.Contains(data, []byte("PRIVATE KEY")) {
		ts.Fatalf("%s holds a private key in PEM", args[0])
	}
	for _, file := range args[1:] {
		keyPEM, err := reader(ts)(file)
		ts.Check(err)
		secrets, err := secretsOf(keyPEM)
		ts.Check(err)
		for _, s := range secrets {
			for what, form := range map[string]string{
				"raw": string(s), "hexadecimal": hex.EncodeToString(s),
				"base64": strings.TrimRight(base64.StdEncoding.EncodeToString(s), "="),
			} {
				if bytes.Contains(data, []byte(form)) {
					ts.Fatalf("%s holds the secret of %s, %s", args[0], file, what)
				}
			}
		}
	}
}

// secretsOf returns the bytes that give a private key away.
func secretsOf(keyPEM []byte) ([][]byte, error) {
	block, _ := pem.Decode(keyPEM)
	key, err := pki.ParseKey(keyPEM, nil)
	if err != nil {
		return nil, err
	}
	secrets := [][]byte{block.Bytes}
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		d, err := key.Bytes()
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, d)
	case *rsa.PrivateKey:
		secrets = append(secrets, key.D.Bytes())
		for _, p := range key.Primes {
			secrets = append(secrets, p.Bytes())
		}
	case ed25519.PrivateKey:
		secrets = append(secrets, key.Seed())
	default:
		return nil, fmt.Errorf("a key of type %T", key)
	}
	return secrets, nil
}

// p12 FILE PASSWORDFILE [KEY=VALUE]...
func cmdP12(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, !neg && len(args) > 1, "p12 FILE PASSWORDFILE [KEY=VALUE]...")
	data, err := reader(ts)(args[0])
	ts.Check(err)
	password, err := reader(ts)(args[1])
	ts.Check(err)
	key, leaf, above, err := pkcs12.DecodeChain(data, strings.TrimRight(string(password), "\r\n"))
	ts.Check(err)
	info, err := export.InspectP12(data)
	ts.Check(err)
	for _, arg := range args[2:] {
		name, want, _ := strings.Cut(arg, "=")
		var is string
		switch name {
		case "count":
			is = strconv.Itoa(1 + len(above))
		case "cn":
			is = leaf.Subject.CommonName
		case "name":
			names := info.Names()
			slices.Sort(names)
			is = strings.Join(slices.Compact(names), ",")
		case "mac":
			is = info.MAC.String()
		case "keymatch":
			keyPEM, err := reader(ts)(want)
			ts.Check(err)
			other, err := pki.ParseKey(keyPEM, nil)
			ts.Check(err)
			der, err := x509.MarshalPKCS8PrivateKey(key)
			ts.Check(err)
			otherDER, err := x509.MarshalPKCS8PrivateKey(other)
			ts.Check(err)
			if !bytes.Equal(der, otherDER) {
				ts.Fatalf("%s holds another key than %s", args[0], want)
			}
			continue
		default:
			ts.Fatalf("p12 knows no key %q", name)
		}
		if is != want {
			ts.Fatalf("%s of %s is %q, not %q", name, args[0], is, want)
		}
	}
}
