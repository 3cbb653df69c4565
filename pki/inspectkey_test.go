package pki_test

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// keyBlocks returns the private keys of a PEM file.
func keyBlocks(t testing.TB, data []byte) (all []*pem.Block) {
	t.Helper()
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			all = append(all, block)
		}
	}
	if len(all) == 0 {
		t.Fatal("no key")
	}
	return all
}

// keyFacts is a KeyInfo with the type of its key for the key.
type keyFacts struct {
	Form, Encryption, Kind string
	Encrypted              bool
	Iterations             int
	Key                    profiles.KeyType
}

func keyFactsOf(i *pki.KeyInfo) keyFacts {
	f := keyFacts{Form: i.Form, Encryption: i.Encryption, Kind: i.Kind, Encrypted: i.Encrypted, Iterations: i.Iterations}
	if i.Public != nil {
		f.Key, _ = pki.KeyTypeOf(i.Public)
	}
	return f
}

func TestInspectKey(t *testing.T) {
	t.Parallel()
	const aes = "PBES2 AES-256-CBC with PBKDF2-HMAC-SHA256"
	for name, tt := range map[string]struct {
		passphrase string
		want       keyFacts
	}{
		"ec-sec1":             {want: keyFacts{Form: "SEC 1", Key: profiles.ECP256}},
		"rsa-pkcs1":           {want: keyFacts{Form: "PKCS#1", Key: profiles.RSA2048}},
		"rsa-pkcs8":           {want: keyFacts{Form: "PKCS#8", Key: profiles.RSA2048}},
		"ed25519-pkcs8":       {want: keyFacts{Form: "PKCS#8", Key: profiles.Ed25519}},
		"ed448":               {want: keyFacts{Form: "PKCS#8", Kind: "Ed448"}},
		"ec-pkcs8-encrypted":  {want: keyFacts{Form: "PKCS#8", Encrypted: true, Encryption: aes, Iterations: 2048}},
		"rsa-pkcs1-encrypted": {want: keyFacts{Form: "PKCS#1", Encrypted: true, Encryption: "AES-256-CBC with a key by one round of MD5", Iterations: 1}},
	} {
		block := keyBlocks(t, vector(t, "key/"+name+".pem"))[0]
		info, err := pki.InspectKey(block, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := cmp.Diff(tt.want, keyFactsOf(info)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		if info.Encrypted {
			opened, err := pki.InspectKey(block, []byte("secret"))
			if err != nil || opened.Public == nil {
				t.Errorf("%s with its passphrase: %+v, %v", name, opened, err)
			}
			if opened, err := pki.InspectKey(block, []byte("wrong")); opened != nil || !errors.Is(err, pki.ErrPassphrase) {
				t.Errorf("%s with a wrong passphrase: %+v, %v", name, opened, err)
			}
		}
		// The same in DER, as far as there is one.
		if len(block.Headers) == 0 {
			info, err := pki.InspectKey(&pem.Block{Bytes: block.Bytes}, nil)
			if err != nil || keyFactsOf(info) != tt.want {
				t.Errorf("%s in DER: %+v, %v", name, info, err)
			}
		}
	}
	info, err := pki.InspectKey(keyBlocks(t, vector(t, "key/x25519.pem"))[0], nil)
	if err != nil || info.Public == nil {
		t.Errorf("x25519: %+v, %v", info, err)
	}
}

// encryptedKey makes an encrypted PKCS#8 key of these parts.
func encryptedKey(t testing.TB, iterations int, iv, data []byte) *pem.Block {
	t.Helper()
	must := func(v any) []byte {
		der, err := asn1.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	algorithm := func(id asn1.ObjectIdentifier, params any) pkix.AlgorithmIdentifier {
		return pkix.AlgorithmIdentifier{Algorithm: id, Parameters: asn1.RawValue{FullBytes: must(params)}}
	}
	pbes2 := algorithm(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}, struct{ KDF, Cipher pkix.AlgorithmIdentifier }{
		algorithm(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}, struct {
			Salt       []byte
			Iterations int
		}{[]byte("saltsalt"), iterations}),
		algorithm(asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, iv),
	})
	return &pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: must(struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}{pbes2, data})}
}

func TestInspectKeyRefuses(t *testing.T) {
	t.Parallel()
	block := func(header string, data []byte) *pem.Block { return &pem.Block{Type: header, Bytes: data} }
	iv := make([]byte, 16)
	for name, tt := range map[string]struct {
		block *pem.Block
		want  string
	}{
		"no key":              {block("", []byte("no")), "no private key in DER"},
		"no PKCS#8":           {block("PRIVATE KEY", []byte("no")), "a private key that cannot be read: "},
		"no SEC 1":            {block("EC PRIVATE KEY", []byte("no")), "a private key that cannot be read: "},
		"no encrypted PKCS#8": {block("ENCRYPTED PRIVATE KEY", []byte{0x30, 0}), "an encrypted private key that cannot be read"},
		"another form":        {block("DSA PRIVATE KEY", nil), "a private key in a form that is not read: DSA PRIVATE KEY"},
		"too large":           {block("PRIVATE KEY", make([]byte, 1<<20)), "a private key of 1048576 bytes; 16384 are read at most"},
		// Of these, the decryption below panics or takes for ever.
		"IV too short":        {encryptedKey(t, 1, iv[:5], iv), "an encrypted private key that is damaged"},
		"no whole block":      {encryptedKey(t, 1, iv, iv[:5]), "an encrypted private key that is damaged"},
		"nothing encrypted":   {encryptedKey(t, 1, iv, nil), "an encrypted private key that is damaged"},
		"too many iterations": {encryptedKey(t, 1<<31, iv, iv), "an encrypted private key that asks for 2147483648 iterations; 10000000 is the most"},
		"negative iterations": {encryptedKey(t, -1, iv, iv), "an encrypted private key that asks for -1 iterations; 10000000 is the most"},
	} {
		info, err := pki.InspectKey(tt.block, []byte("secret"))
		if info != nil || err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %+v\ngot  %v\nwant %s", name, info, err, tt.want)
		}
	}
	// A damaged key of a kind that is read is no key of another kind.
	damaged := append([]byte(nil), keyBlocks(t, vector(t, "key/ed25519-pkcs8.pem"))[0].Bytes...)
	damaged = damaged[:len(damaged)-4]
	damaged[1] -= 4
	if info, err := pki.InspectKey(block("PRIVATE KEY", damaged), nil); info != nil || err == nil {
		t.Errorf("damaged: %+v, %v", info, err)
	}
}

// TestInspectKeyPBE names the ways to encrypt that are seen but not opened.
func TestInspectKeyPBE(t *testing.T) {
	t.Parallel()
	inner := func(text string) []byte { return []byte(text) }
	for want, params := range map[string]struct {
		id         asn1.ObjectIdentifier
		parameters []byte
	}{
		"PBE-SHA1-3DES": {asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 3}, inner("\x30\x00")},
		"PBES2":         {asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}, inner("\x30\x00")},
		"1.2.3":         {asn1.ObjectIdentifier{1, 2, 3}, inner("\x30\x00")},
	} {
		der, err := asn1.Marshal(struct {
			Algorithm pkix.AlgorithmIdentifier
			Data      []byte
		}{pkix.AlgorithmIdentifier{Algorithm: params.id, Parameters: asn1.RawValue{FullBytes: params.parameters}}, make([]byte, 16)})
		if err != nil {
			t.Fatal(err)
		}
		info, err := pki.InspectKey(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der}, nil)
		if err != nil || !strings.HasPrefix(info.Encryption, want) {
			t.Errorf("%s: %+v, %v", want, info, err)
		}
		if info, err := pki.InspectKey(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der}, []byte("x")); info != nil || err == nil || errors.Is(err, pki.ErrPassphrase) {
			t.Errorf("%s opened: %+v, %v", want, info, err)
		}
	}
}

func FuzzInspectKey(f *testing.F) {
	files, err := filepath.Glob("../testdata/vectors/key/*.pem")
	if err != nil {
		f.Fatal(err)
	}
	seeds := [][]byte{
		pem.EncodeToMemory(encryptedKey(f, 1, make([]byte, 5), make([]byte, 16))), // the IV is too short
		pem.EncodeToMemory(encryptedKey(f, 1, make([]byte, 16), make([]byte, 5))),
		pkitest.KeyPEM(f, profiles.ECP384, pkitest.LeafKey),
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, data)
	}
	seed(f, seeds)
	f.Fuzz(func(t *testing.T, data []byte) {
		block, _ := pem.Decode(data)
		if block == nil {
			block = &pem.Block{Bytes: data}
		}
		given := bytes.Clone(block.Bytes)
		for _, passphrase := range []string{"", "secret"} {
			// Many iterations are no mistake, but take too long here.
			if info, err := pki.InspectKey(block, nil); err != nil || info.Iterations > 10_000 {
				break
			}
			info, err := pki.InspectKey(block, []byte(passphrase))
			if (info == nil) != (err != nil) {
				t.Fatalf("%+v beside %v", info, err)
			}
			if info != nil && (info.Form == "" || info.Encrypted != (info.Encryption != "")) {
				t.Errorf("%+v", info)
			}
			if !bytes.Equal(given, block.Bytes) {
				t.Fatal("the input was changed")
			}
		}
	})
}
