package cmd

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/profiles"
)

const (
	vectorsDir = "../testdata/vectors"
	bundleDir  = "../export/testdata/bundle"
	p12Dir     = "../export/testdata/p12"
)

// readAll reads files, one after the other.
func readAll(t testing.TB, files ...string) (all []byte) {
	t.Helper()
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	return all
}

// runIn is run with standard input and the environment variable PW.
func runIn(t testing.TB, stdin []byte, password string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	env := testEnv(&out, &errs)
	env.Stdin = bytes.NewReader(stdin)
	env.Getenv = func(name string) string { return map[string]string{"PW": password}[name] }
	code = Main(context.Background(), args, env)
	return out.String(), errs.String(), code
}

// testCRL makes a CRL of n entries by the fixed root.
func testCRL(t testing.TB, n int) []byte {
	t.Helper()
	at := pkitest.Clock()
	list := &x509.RevocationList{Number: big.NewInt(7), ThisUpdate: at, NextUpdate: at.AddDate(0, 0, 30)}
	for i := range n {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: big.NewInt(int64(0x1000 + i)), RevocationTime: at.Add(-time.Duration(i) * time.Hour), ReasonCode: i % 6,
		})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, pkitest.Root(t).Certificate(), pkitest.Key(t, profiles.ECP256, pkitest.RootKey))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestShowOutput compares what is said of files of others with what was said
// before, word for word; -update writes it.
func TestShowOutput(t *testing.T) {
	t.Parallel()
	vector := func(name string) []byte { return readAll(t, filepath.Join(vectorsDir, name)) }
	p12 := func(name string) []byte { return readAll(t, filepath.Join(p12Dir, name)) }
	chain, root, key := readAll(t, bundleDir+"/tls.crt"), readAll(t, bundleDir+"/ca.crt"), readAll(t, bundleDir+"/tls.key")
	crl := pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: testCRL(t, 12)})
	for name, tt := range map[string]struct {
		input    []byte
		password string // empty: none
		json     bool
	}{
		"certificate":           {input: vector("cert/one.der")},
		"certificate.json":      {input: vector("cert/one.der"), json: true},
		"chain":                 {input: chain},
		"chain.json":            {input: append(chain[:len(chain):len(chain)], root...), json: true},
		"chain-out-of-order":    {input: append(root[:len(root):len(root)], chain...)},
		"combined":              {input: append(append(chain[:len(chain):len(chain)], root...), key...)},
		"combined-wrong-key":    {input: append(chain[:len(chain):len(chain)], vector("key/ec-sec1.pem")...)},
		"request":               {input: vector("csr/everything.der")},
		"request.json":          {input: vector("csr/everything.pem"), json: true},
		"request-bad-signature": {input: vector("csr/bad-signature.pem")},
		"request-ca":            {input: vector("csr/asks-ca-key-usage.pem")},
		"request-ed448":         {input: vector("csr/ed448.pem")},
		"request-other-names":   {input: vector("csr/other-names.pem")},
		"request-weak":          {input: append(vector("csr/rsa-1024.pem"), vector("csr/p224.pem")...)},
		"request-empty":         {input: vector("csr/empty.pem")},
		"key":                   {input: vector("key/ec-with-parameters.pem")},
		"key.json":              {input: vector("key/rsa-pkcs1-encrypted.pem"), json: true},
		"key-encrypted":         {input: vector("key/ec-pkcs8-encrypted.pem")},
		"key-opened":            {input: vector("key/ec-pkcs8-encrypted.pem"), password: "secret"},
		"key-ed448":             {input: vector("key/ed448.pem")},
		"key-x25519":            {input: vector("key/x25519.pem")},
		"key-public":            {input: vector("key/public.pem")},
		"crl":                   {input: crl},
		"crl.json":              {input: testCRL(t, 2), json: true},
		"p12":                   {input: p12("openssl3-3des.p12")},
		"p12-opened":            {input: p12("openssl3-3des.p12"), password: p12Password},
		"p12.json":              {input: p12("openssl3-3des.p12"), password: p12Password, json: true},
		"p12-rc2":               {input: p12("openssl3-rc2.p12")},
		"p12-plain":             {input: p12("openssl3-plain.p12")},
		"p12-empty-password":    {input: p12("openssl3-empty-password.p12")},
		"partly-unread":         {input: append(vector("key/public.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n-----BEGIN DH PARAMETERS-----\n-----END DH PARAMETERS-----\n"...)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{"--pki", "none", "show", "-"}
			if tt.password != "" {
				args = append(args, "--password-env", "PW")
			}
			file := filepath.Join("..", "testdata", "golden", "show", name)
			if tt.json {
				args = append(args, "--json")
			} else {
				file += ".txt"
			}
			stdout, stderr, code := runIn(t, tt.input, tt.password, args...)
			if code != exitDone {
				t.Fatalf("status %d: %s", code, stderr)
			}
			got := stdout
			if stderr != "" {
				got += "-- stderr --\n" + stderr
			}
			compareGolden(t, file, got)
		})
	}
}

// p12Password is that of the files in p12Dir.
const p12Password = "correct-horse-42"

func compareGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s; -update writes it anew (-want +got):\n%s", file, d)
	}
}

// TestShowForms has the same certificate in every form in which it is found.
func TestShowForms(t *testing.T) {
	t.Parallel()
	text := readAll(t, vectorsDir+"/cert/with-text.pem")
	der := readAll(t, vectorsDir+"/cert/one.der")
	block, _ := pem.Decode(text)
	plain := pem.EncodeToMemory(block)
	utf16Of := func(order binary.AppendByteOrder) []byte {
		out := order.AppendUint16(nil, 0xfeff)
		for _, u := range utf16.Encode([]rune(string(plain))) {
			out = order.AppendUint16(out, u)
		}
		return out
	}
	in64 := base64.StdEncoding.EncodeToString
	quoted, err := json.Marshal(map[string]string{"a": "b", "cert": string(plain)})
	if err != nil {
		t.Fatal(err)
	}
	want, stderr, code := runIn(t, der, "", "show", "-")
	if code != exitDone {
		t.Fatal(stderr)
	}
	for name, data := range map[string][]byte{
		"with text":        text,
		"PEM":              plain,
		"DOS line ends":    bytes.ReplaceAll(plain, []byte("\n"), []byte("\r\n")),
		"UTF-8 with a BOM": append([]byte("\xef\xbb\xbf"), plain...),
		"UTF-16":           utf16Of(binary.LittleEndian),
		"UTF-16, big end":  utf16Of(binary.BigEndian),
		"TRUSTED":          readAll(t, vectorsDir+"/cert/trusted.pem"),
		"X509 CERTIFICATE": bytes.ReplaceAll(plain, []byte("CERTIFICATE"), []byte("X509 CERTIFICATE")),
		"ConfigMap":        []byte("data:\n  ca.crt: |\n    " + strings.ReplaceAll(string(plain), "\n", "\n    ")),
		"JSON":             quoted,
		"Secret":           []byte("kind: Secret\ndata:\n  ca.crt: " + in64(plain) + "\n  other: aGVsbG8=\n"),
		"Base64 of PEM":    []byte(in64(plain)),
		"Base64 of DER":    []byte(in64(der)[:70] + "\n" + in64(der)[70:] + "\n"),
	} {
		got, stderr, code := runIn(t, data, "", "show", "-")
		if got != want || stderr != "" || code != exitDone {
			t.Errorf("%s: status %d, %s\n%s", name, code, stderr, cmp.Diff(want, got))
		}
	}
}

// TestShowDER has every kind in DER, where no header says what it is.
func TestShowDER(t *testing.T) {
	t.Parallel()
	of := func(file string) []byte {
		data := readAll(t, filepath.Join(vectorsDir, file))
		for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
			if block.Type != "EC PARAMETERS" {
				return block.Bytes
			}
		}
		return data
	}
	pub, ok := pkitest.Key(t, profiles.RSA2048, pkitest.LeafKey).Public().(*rsa.PublicKey)
	if !ok {
		t.Fatal("no RSA key")
	}
	for name, tt := range map[string]struct {
		data []byte
		kind string
		form string
	}{
		"certificate":      {of("cert/one.der"), kindCertificate, ""},
		"two certificates": {append(of("cert/one.der"), of("cert/one.der")...), kindCertificates, ""},
		"request":          {of("csr/everything.der"), kindRequest, ""},
		"CRL":              {testCRL(t, 1), kindCRL, ""},
		"PKCS#8":           {of("key/rsa-pkcs8.pem"), kindPrivateKey, "PKCS#8"},
		"encrypted":        {of("key/ec-pkcs8-encrypted.pem"), kindPrivateKey, "PKCS#8"},
		"PKCS#1":           {of("key/rsa-pkcs1.pem"), kindPrivateKey, "PKCS#1"},
		"SEC 1":            {of("key/ec-sec1.pem"), kindPrivateKey, "SEC 1"},
		"public":           {of("key/public.pem"), kindPublicKey, ""},
		"RSA public":       {x509.MarshalPKCS1PublicKey(pub), kindPublicKey, ""},
		"PKCS#12":          {readAll(t, p12Dir+"/openssl3-aes.p12"), kindPKCS12, ""},
	} {
		stdout, stderr, code := runIn(t, tt.data, "", "show", "-", "--json")
		var got showJSON
		if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != exitDone {
			t.Errorf("%s: status %d, %s, %v", name, code, stderr, err)
			continue
		}
		form := ""
		if len(got.PrivateKeys) > 0 {
			form = got.PrivateKeys[0].Form
		}
		// Copies are one chain of one.
		if name == "two certificates" && got.Kind == kindChain {
			got.Kind = kindCertificates
		}
		if got.Kind != tt.kind || form != tt.form {
			t.Errorf("%s: %s, %s", name, got.Kind, form)
		}
	}
}

func TestShowRefuses(t *testing.T) {
	t.Parallel()
	key := readAll(t, vectorsDir+"/key/ec-pkcs8-encrypted.pem")
	p12 := readAll(t, p12Dir+"/openssl3-aes.p12")
	one := readAll(t, vectorsDir+"/cert/one.der")
	version2 := bytes.Replace(one, []byte{0xa0, 3, 2, 1, 2}, []byte{0xa0, 3, 2, 1, 9}, 1)
	block := func(header string) []byte { return pem.EncodeToMemory(&pem.Block{Type: header, Bytes: []byte{5, 0}}) }
	for name, tt := range map[string]struct {
		input    []byte
		password string
		want     string // how the error begins
	}{
		"nothing":             {nil, "", "there is nothing in it"},
		"spaces":              {[]byte(" \n\n"), "", "there is nothing in it"},
		"text":                {[]byte("hello\n"), "", "not recognised: neither certificate, signing request, key, CRL, PKCS#12 file nor Java keystore, in PEM or DER"},
		"wrong key password":  {key, "wrong", "wrong password\nhint: without a password, show says what can be seen from outside"},
		"wrong p12 password":  {p12, "wrong", "wrong password\nhint: without a password, show says what can be seen from outside"},
		"cut p12":             {p12[:100], "", "not a readable PKCS#12 file: "},
		"damaged certificate": {block("CERTIFICATE"), "", "CERTIFICATE: malformed certificate"},
		"unknown version":     {version2, "", "x509: invalid version"},
		"half a PEM":          {[]byte("-----BEGIN CERTIFICATE-----\nMIIB\n"), "", "there is the beginning of a PEM block in it, but no whole one\nhint: "},
		"PKCS#7":              {block("PKCS7"), "", "PKCS7: not read; 'openssl pkcs7 -print_certs' takes out its certificates"},
		"PKCS#7 in DER":       {append([]byte{0x30, 0x0b, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2}, 0), "", "a PKCS#7 file, which is not read\nhint: "},
		"SSH key":             {block("OPENSSH PRIVATE KEY"), "", "OPENSSH PRIVATE KEY: an SSH key, which is not read; "},
		"SSH public key":      {[]byte("ssh-ed25519 AAAA a@b\n"), "", "an SSH public key, which is not read"},
		"cut Java keystore":   {[]byte{0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2}, "", "not a readable Java keystore (JKS): it is cut off"},
		"JCEKS":               {[]byte{0xce, 0xce, 0xce, 0xce, 0, 0, 0, 2}, "", "a Java keystore of the kind JCEKS, which is not read\nhint: "},
		"parameters alone":    {block("EC PARAMETERS"), "", "there is nothing in it but the parameters of a key"},
		"another block":       {block("DH PARAMETERS"), "", "DH PARAMETERS: not read"},
		"a block without key": {block("DSA PRIVATE KEY"), "", "DSA PRIVATE KEY: a private key in a form that is not read: "},
		"too large":           {bytes.Repeat([]byte("x"), maxShow+1), "", ""},
	} {
		args := []string{"show", "-"}
		if tt.password != "" {
			args = append(args, "--password-env", "PW")
		}
		stdout, stderr, code := runIn(t, tt.input, tt.password, args...)
		if tt.want != "" {
			tt.want = "mtlsctl: standard input: " + tt.want
		}
		if stdout != "" || code != exitFailed || !strings.HasPrefix(stderr, tt.want) {
			t.Errorf("%s: status %d, %s%s\nwant %s", name, code, stdout, stderr, tt.want)
		}
	}
}

func TestShowOptions(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]*showOptions{
		"web":                                  {target: "web"},
		"-":                                    {target: "-"},
		"a.p12 --password-file f":              {target: "a.p12", password: secretFlags{file: "f"}},
		"a.p12 --password-env E":               {target: "a.p12", password: secretFlags{env: "E"}},
		"a.p12 --password-stdin":               {target: "a.p12", password: secretFlags{stdin: true}},
		"a.p12 --password-prompt":              {target: "a.p12", passwordPrompt: true},
		"":                                     nil,
		"a b":                                  nil,
		"a --password-stdin --password-prompt": nil,
	} {
		var got *showOptions
		c := newShowCmd(&app{Env: testEnv(io.Discard, io.Discard)}, func(_ context.Context, o *showOptions) error {
			got = o
			return nil
		})
		c.SetArgs(strings.Fields(args))
		c.SetErr(io.Discard)
		c.SilenceErrors, c.SilenceUsage = true, true
		err := c.Execute()
		if want != nil {
			want.password.word = "password"
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(showOptions{}, secretFlags{})); d != "" || (want == nil) != (err != nil) {
			t.Errorf("%q: %v (-want +got):\n%s", args, err, d)
		}
	}
}

// TestShowSerial finds certificates by their serial, in every way of writing it,
// also one whose name stands for another now.
func TestShowSerial(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "pki")
	do := func(args ...string) showJSON {
		t.Helper()
		stdout, stderr, code := run(t, append([]string{"--pki", dir, "--json"}, args...)...)
		if code != exitDone {
			t.Fatalf("%q: status %d: %s", args, code, stderr)
		}
		var s showJSON
		if args[0] == "show" {
			if err := json.Unmarshal([]byte(stdout), &s); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	do("init-ca")
	do("issue", "client", "alice@example.com")
	old := do("show", "alice@example.com").Certificates[0]
	do("issue", "client", "alice@example.com", "--force")
	for _, name := range []string{"alice@example.com", "issuing", "root"} {
		want := do("show", name)
		serial := want.Certificates[0].Serial
		for _, form := range []string{serial, strings.ToUpper(serial), "0x" + serial, "00:" + serial} {
			if d := cmp.Diff(want, do("show", form), cmp.AllowUnexported(showJSON{})); d != "" {
				t.Errorf("%s by %s (-want +got):\n%s", name, form, d)
			}
		}
	}
	got := do("show", old.Serial).Certificates[0]
	old.Status, old.Path = "superseded", ""
	if d := cmp.Diff(old, got); d != "" {
		t.Errorf("the old one (-want +got):\n%s", d)
	}
}

func TestParseSerial(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"0a1b": "0a1b", "A:1B": "0a1b", "0x0A1B": "0a1b", "a1b": "0a1b", "00:0A:1B": "0a1b", "0": "00", "0000": "00",
		"web": "", "": "", "0x": "", "12.34": "",
	} {
		got, ok := parseSerial(in)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q is %q, %v; want %q", in, got, ok, want)
		}
	}
}

// TestShowSafe has names that would write to the terminal.
func TestShowSafe(t *testing.T) {
	t.Parallel()
	key := pkitest.Key(t, profiles.ECP256, pkitest.LeafKey)
	template := &x509.CertificateRequest{DNSNames: []string{"\x1b[31mred\x1b[0m"}}
	template.Subject.CommonName = "a\nb\x1b]0;title\x07\u202ec"
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range []string{"CERTIFICATE REQUEST", "\x1b[2J"} {
		data := append(pem.EncodeToMemory(&pem.Block{Type: header, Bytes: der}), readAll(t, vectorsDir+"/key/public.pem")...)
		stdout, stderr, _ := runIn(t, data, "", "show", "-")
		for _, bad := range []string{"\x1b", "\x07", "\u202e", "a\nb"} {
			if strings.Contains(stdout+stderr, bad) {
				t.Errorf("%q came through:\n%s%s", bad, stdout, stderr)
			}
		}
	}
}

// FuzzShow feeds anything to everything that reads and describes. Nothing of it
// may panic, and what is shown is there again in JSON.
func FuzzShow(f *testing.F) {
	var seeds [][]byte
	for _, glob := range []string{vectorsDir + "/*/*.pem", vectorsDir + "/*/*.der", bundleDir + "/*", p12Dir + "/*.p12"} {
		files, err := filepath.Glob(glob)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			seeds = append(seeds, readAll(f, file))
		}
	}
	if len(seeds) < 40 {
		f.Fatalf("only %d seeds", len(seeds))
	}
	crl := testCRL(f, 3)
	seeds = append(seeds, crl, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: crl}),
		[]byte(`{"a":"-----BEGIN X\nAAAA\n-----END X"}`), []byte("LS0tLS1CRUdJTiBYLS0tLS0="), []byte("\xff\xfe-\x00"))
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := contentReader{secret: func() ([]byte, error) { return nil, nil }}
		if err := r.read(bytes.Clone(data)); err != nil {
			return
		}
		var s showJSON
		r.describe(&s)
		if s.Kind == "" || s.Kind == kindMixed && len(s.Unread) == 0 && len(s.Certificates)+len(s.Requests)+len(s.PrivateKeys)+len(s.PublicKeys)+len(s.CRLs) < 2 {
			t.Fatalf("kind %q of %+v", s.Kind, s)
		}
		for _, asJSON := range []bool{false, true} {
			var out bytes.Buffer
			a := &app{Env: testEnv(&out, io.Discard), json: asJSON}
			a.setInTime(&s)
			if err := a.writeShown(&s); err != nil {
				t.Fatal(err)
			}
			if out.Len() == 0 {
				t.Fatal("nothing was said")
			}
			if strings.ContainsFunc(out.String(), func(c rune) bool { return c < ' ' && c != '\n' }) {
				t.Fatalf("control characters in %q", out.String())
			}
		}
	})
}
