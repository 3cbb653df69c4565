package export

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	jks "github.com/pavlo-v-chernykh/keystore-go/v4"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

const jksPassword = "sixteen or more characters"

func TestJKS(t *testing.T) {
	t.Parallel()
	b := alice(t)
	all := append(b.ChainPEM(), b.RootsPEM()...)
	strayed := &pki.Bundle{Chain: b.Chain, Key: b.Key, Roots: append([]*x509.Certificate{pkitest.Root(t).Root()}, b.Roots...)}
	for name, tt := range map[string]struct {
		format JKS
		bundle *pki.Bundle
		file   string
		alias  string
		chain  []byte
	}{
		"default":      {JKS{}, b, "tls.jks", "alice@example.com", all},
		"no root":      {JKS{NoRoot: true}, b, "tls.jks", "alice@example.com", b.ChainPEM()},
		"an alias":     {JKS{Name: "kafka", Alias: "Kafka Ä"}, b, "kafka.jks", "kafka ä", all},
		"another root": {JKS{}, strayed, "tls.jks", "alice@example.com", all},
		"Ed25519":      {JKS{NoRoot: true}, client(t, pkitest.Root(t), profiles.Ed25519), "tls.jks", "client", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.format.Password = jksPassword
			f := file(t, tt.format, tt.bundle)
			if f.Name != tt.file || !f.Private {
				t.Errorf("file %s, private %v", f.Name, f.Private)
			}
			alias := tt.format.AliasFor(tt.bundle)
			if alias != tt.alias {
				t.Errorf("alias %q, want %q", alias, tt.alias)
			}
			store := jks.New(jks.WithCaseExactAliases())
			if err := store.Load(bytes.NewReader(f.Data), []byte(jksPassword)); err != nil {
				t.Fatal(err)
			}
			entry, err := store.GetPrivateKeyEntry(alias, []byte(jksPassword))
			if err != nil {
				t.Fatal(err)
			}
			if key, err := x509.MarshalPKCS8PrivateKey(tt.bundle.Key); err != nil || !bytes.Equal(entry.PrivateKey, key) {
				t.Errorf("it is another key: %v", err)
			}
			if want := tt.chain; want != nil && !bytes.Equal(certsPEM(t, entry.CertificateChain...), want) {
				t.Errorf("the chain is\n%s", certsPEM(t, entry.CertificateChain...))
			}
			if !entry.CreationTime.Equal(tt.bundle.Leaf().NotBefore) {
				t.Errorf("it is dated %s", entry.CreationTime)
			}
		})
	}
}

func TestJKSRefusals(t *testing.T) {
	t.Parallel()
	b := alice(t)
	for name, tt := range map[string]struct {
		format JKS
		option string
		words  string
	}{
		"no password":  {JKS{}, "password", "empty"},
		"a short one":  {JKS{Password: "fifteen letters"}, "password", "15 characters are too few for JKS"},
		"not ASCII":    {JKS{Password: "sechzehn Zeichen \u00e4"}, "password", "not ASCII, which Java cannot take"},
		"a newline":    {JKS{Password: jksPassword + "\n"}, "password", "control character"},
		"an odd alias": {JKS{Password: jksPassword, Alias: "a\tb"}, "alias", "cannot be shown"},
		"an emoji":     {JKS{Password: jksPassword, Alias: "😀"}, "alias", "basic plane"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tt.format.Export(b)
			wantOption(t, err, tt.option, "", tt.words)
			if p := tt.format.Password; p != "" && strings.Contains(err.Error(), p) {
				t.Errorf("the password is in %q", err)
			}
		})
	}
	if _, err := (JKS{Password: jksPassword}).Export(&pki.Bundle{Chain: b.Chain}); !errors.Is(err, ErrNoKey) {
		t.Errorf("without a key: %v", err)
	}
	if _, err := (JKS{Password: jksPassword[:MinJKSPassword]}).Export(b); err != nil {
		t.Errorf("with the shortest password: %v", err)
	}
}

// shownJKS is what [InspectJKS] says in short.
func shownJKS(i *JKSInfo) (all []string) {
	for _, e := range i.Entries {
		kind := "certificate"
		if e.Key {
			kind = "key"
		}
		var names []string
		for _, c := range e.Certificates {
			names = append(names, c.Subject.CommonName)
		}
		all = append(all, strings.Join([]string{kind, e.Alias, e.Created.Format(time.DateOnly), strings.Join(names, " < "), strings.Repeat("?", e.Unread)}, "|"))
	}
	return all
}

func TestInspectJKS(t *testing.T) {
	t.Parallel()
	b := alice(t)
	store := exported(t, certManagerCases()["alice-jks"]).Data
	day := b.Leaf().NotBefore.Format(time.DateOnly)
	odd := jks.New()
	if err := odd.SetTrustedCertificateEntry("odd", jks.TrustedCertificateEntry{
		CreationTime: time.Date(300_000, 1, 1, 0, 0, 0, 0, time.UTC), Certificate: jks.Certificate{Type: "X.509", Content: []byte("no certificate")},
	}); err != nil {
		t.Fatal(err)
	}
	oddData, err := storeJKS(odd, []byte("changeit"))
	if err != nil {
		t.Fatal(err)
	}
	empty, err := storeJKS(jks.New(), []byte("changeit"))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		data     []byte
		password string
		want     []string
	}{
		"ours": {file(t, JKS{Password: jksPassword}, b).Data, jksPassword,
			[]string{"key|alice@example.com|" + day + "|alice@example.com < Acme issuing CA < Acme root CA|"}},
		"cert-manager's": {store["keystore.jks"], keystorePassword,
			[]string{"certificate|ca|" + day + "|Acme root CA|", "key|web|" + day + "|alice@example.com < Acme issuing CA|"}},
		"a truststore": {file(t, Truststore{Type: StoreJKS}, b).Data, "changeit",
			[]string{"certificate|acme root ca|" + b.Roots[0].NotBefore.Format(time.DateOnly) + "|Acme root CA|"}},
		"Java's": {readFile(t, "jks", "keytool17.jks"), "correct-horse",
			[]string{"certificate|acme root|2026-11-22|Acme root CA|", "key|alice at acme|2026-11-22|alice@example.com < Acme issuing CA < Acme root CA|"}},
		"odd":   {oddData, "changeit", []string{"certificate|odd|0001-01-01||?"}},
		"empty": {empty, "changeit", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			closed, err := InspectJKS(tt.data)
			if err != nil || closed.Opened {
				t.Fatalf("closed: %v, opened %v", err, closed.Opened)
			}
			if diff := cmp.Diff(tt.want, shownJKS(closed)); diff != "" {
				t.Error(diff)
			}
			opened, err := OpenJKS(tt.data, tt.password)
			if err != nil || !opened.Opened {
				t.Fatalf("opened: %v", err)
			}
			if diff := cmp.Diff(tt.want, shownJKS(opened)); diff != "" {
				t.Error(diff)
			}
			changed := bytes.Clone(tt.data)
			changed[len(changed)-1]++
			for what, err := range map[string]error{
				"a wrong password": second(OpenJKS(tt.data, tt.password+" ")),
				"no password":      second(OpenJKS(tt.data, "")),
				"a changed file":   second(OpenJKS(changed, tt.password)),
			} {
				if !errors.Is(err, ErrPassword) || errors.Is(err, ErrJKS) {
					t.Errorf("%s: %v", what, err)
				}
			}
			// Cut off anywhere, it is refused.
			for n := range tt.data {
				if n > 64 && n%17 != 0 && n < len(tt.data)-64 {
					continue
				}
				if info, err := InspectJKS(tt.data[:n]); !errors.Is(err, ErrJKS) || info != nil {
					t.Fatalf("%d of %d bytes: %v", n, len(tt.data), err)
				}
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

// jksOf writes numbers and texts as they are in a file: ints in four bytes, texts
// after their length in two.
func jksOf(parts ...any) []byte {
	out := []byte{0xfe, 0xed, 0xfe, 0xed}
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			out = binary.BigEndian.AppendUint32(out, uint32(p))
		case string:
			out = append(binary.BigEndian.AppendUint16(out, uint16(len(p))), p...)
		case []byte:
			out = append(out, p...)
		}
	}
	return out
}

// A length in a hostile file costs nothing: what it says is not there.
func TestJKSHostile(t *testing.T) {
	t.Parallel()
	const most = 1<<32 - 1
	date := make([]byte, 8)
	digest := make([]byte, 20)
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"empty":                   {nil, "begins otherwise"},
		"a p12":                   {readFile(t, "p12", "keytool17.p12"), "begins otherwise"},
		"nothing more":            {jksOf(), "cut off"},
		"version 3":               {jksOf(3, 0, digest), "version 3"},
		"many entries":            {jksOf(2, most), "4294967295 entries"},
		"entries that are not":    {jksOf(2, maxJKSCertificates, digest), "unknown kind"},
		"an unknown entry":        {jksOf(2, 1, 3, "a", date, digest), "unknown kind 3"},
		"a long alias":            {jksOf(2, 1, 2, []byte{0xff, 0xff}), "cut off"},
		"a key of 4 GB":           {jksOf(2, 1, 1, "a", date, most), "cut off"},
		"a long chain":            {jksOf(2, 1, 1, "a", date, 0, most), "4294967295 certificates"},
		"a chain that is not":     {jksOf(2, 1, 1, "a", date, 0, maxJKSCertificates), "cut off"},
		"a certificate of 4 GB":   {jksOf(2, 1, 2, "a", date, "X.509", most), "cut off"},
		"of 2 GB, in version 1":   {jksOf(1, 1, 2, "a", date, 1<<31), "cut off"},
		"something after its end": {jksOf(2, 0, digest, "more"), "after its end"},
		"too large":               {append(jksOf(2, 0), make([]byte, MaxJKSSize)...), "16777216 are read at most"},
		"two chains too long together": {jksOf(2, 2, 1, "a", date, 0, maxJKSCertificates, bytes.Repeat(make([]byte, 6), maxJKSCertificates),
			1, "b", date, 0, 1, make([]byte, 6), digest), "more than 10000 certificates"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, err := range []error{second(InspectJKS(tt.data)), second(OpenJKS(tt.data, "changeit"))} {
				if !errors.Is(err, ErrJKS) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, want ErrJKS with %q", err, tt.want)
				}
			}
		})
	}
}

func FuzzJKS(f *testing.F) {
	b := alice(f)
	f.Add(file(f, JKS{Password: jksPassword}, b).Data)
	f.Add(file(f, Truststore{Type: StoreJKS}, b).Data)
	f.Add(readFile(f, "jks", "keytool17.jks"))
	f.Add(jksOf(1, 1, 1, "a", make([]byte, 8), 0, 2))
	f.Fuzz(func(t *testing.T, data []byte) {
		info, err := InspectJKS(data)
		if (info == nil) == (err == nil) {
			t.Fatalf("info %v, error %v", info, err)
		}
		if err != nil {
			return
		}
		// keystore-go agrees that what was accepted is whole, but for the password.
		err = jks.New().Load(bytes.NewReader(data), []byte(jksPassword))
		if err != nil && err.Error() != "got invalid digest" {
			t.Errorf("keystore-go: %v", err)
		}
	})
}
