package export

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// p12Files returns the files in testdata/p12 by name, and fails if they have
// gone.
func p12Files(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "p12", "*.p12"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, path := range paths {
		if files[filepath.Base(path)], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if len(files) < 18 {
		t.Fatalf("%d files in testdata/p12, want 18 or more", len(files))
	}
	return files
}

// passwordOf returns the password of a file in testdata/p12.
func passwordOf(name string) string {
	switch {
	case strings.HasPrefix(name, "rfc9579"):
		return "1234"
	case name == "openssl3-plain.p12", name == "openssl3-empty-password.p12":
		return ""
	}
	return testPassword
}

// Every file of every program, closed and opened, is in one golden file each.
func TestInspectP12(t *testing.T) {
	t.Parallel()
	for name, data := range p12Files(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			show := func(title string, i *P12Info, err error) {
				fmt.Fprintf(&out, "%s:\n", title)
				if err != nil {
					fmt.Fprintf(&out, "  error: %v\n", err)
					return
				}
				for _, line := range describe(i) {
					fmt.Fprintf(&out, "  %s\n", line)
				}
				fmt.Fprintf(&out, "  names %q, %d keys, %d certificates\n", i.Names(), i.Keys(), len(i.Certificates()))
			}
			closed, err := InspectP12(data)
			show("without the password", closed, err)
			opened, err := OpenP12(data, passwordOf(name))
			show("with the password", opened, err)
			if closed != nil {
				yes, no := closed.ReadBy()
				fmt.Fprintf(&out, "read by: %s\nnot by: %s\n", strings.Join(readerNames(yes), " "), strings.Join(readerNames(no), " "))
			}
			golden(t, strings.TrimSuffix(name, ".p12")+".txt", out.Bytes())
		})
	}
}

func TestOpenP12WrongPassword(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"openssl3-rc2.p12", "openssl3-aes.p12", "openssl3-3des.p12", "openssl3-empty-password.p12", "keytool17.p12", "rfc9579-a1.p12"} {
		for _, password := range []string{"wrong", "", testPassword + " ", "😀"} {
			if password == passwordOf(name) {
				continue
			}
			if _, err := OpenP12(readFile(t, "p12", name), password); !errors.Is(err, ErrPassword) || errors.Is(err, ErrP12) {
				t.Errorf("%s with %q: error %v, want ErrPassword", name, password, err)
			}
		}
	}
	// Without a MAC it is the padding that tells.
	b := client(t, pkitest.Issuing(t), profiles.ECP256)
	withoutMAC := edit(t, file(t, P12{Password: testPassword}, b).Data, func(p *pfx) { p.MACData = macData{} })
	if i, err := OpenP12(withoutMAC, testPassword); err != nil || len(i.Certificates()) != 3 {
		t.Errorf("without a MAC: %v", err)
	}
	if _, err := OpenP12(withoutMAC, "wrong"); !errors.Is(err, ErrPassword) {
		t.Errorf("without a MAC and with a wrong password: error %v, want ErrPassword", err)
	}
}

// edit changes the outermost structure of a file.
func edit(t *testing.T, data []byte, change func(*pfx)) []byte {
	t.Helper()
	var p pfx
	if err := unmarshal(data, &p); err != nil {
		t.Fatal(err)
	}
	change(&p)
	return marshal(p)
}

func TestP12Hostile(t *testing.T) {
	t.Parallel()
	good := file(t, P12{Password: testPassword, Encoding: Compat}, alice(t)).Data
	many := edit(t, good, func(p *pfx) {
		contents := make([]contentInfo, maxP12Contents+1)
		for i := range contents {
			contents[i] = dataContent(marshal([]safeBag{}))
		}
		p.AuthSafe = dataContent(marshal(contents))
	})
	signed := edit(t, good, func(p *pfx) { p.AuthSafe.ContentType[6] = 2 })
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"empty":             {nil, "not ASN.1, or cut off"},
		"text":              {[]byte("-----BEGIN CERTIFICATE-----"), "cut off"},
		"cut off":           {good[:len(good)-1], "cut off"},
		"something after":   {append(good[:len(good):len(good)], 0), "something after its end"},
		"a certificate":     {alice(t).Leaf().Raw, "asn1"},
		"too large":         {make([]byte, MaxP12Size+1), "16777217 bytes, and 16777216"},
		"nested for ever":   {append(bytes.Repeat([]byte{0x30, 0x80}, 1<<20), bytes.Repeat([]byte{0, 0}, 1<<20)...), "cut off"},
		"pieces in pieces":  {append(bytes.Repeat([]byte{0x24, 0x80}, 1000), bytes.Repeat([]byte{0, 0}, 1000)...), "cut off"},
		"a length of 2^63":  {[]byte{0x30, 0x88, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, "cut off"},
		"version 4":         {edit(t, good, func(p *pfx) { p.Version = 4 }), "version 4"},
		"signed":            {signed, "public key"},
		"many parts":        {many, "65 parts"},
		"minus 1 iteration": {edit(t, good, func(p *pfx) { p.MACData.Iterations = -1 }), "-1 iterations"},
		"no parts at all":   {edit(t, good, func(p *pfx) { p.AuthSafe = dataContent(nil) }), "cut off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			info, err := InspectP12(tt.data)
			if !errors.Is(err, ErrP12) || !strings.Contains(err.Error(), tt.want) || info != nil {
				t.Errorf("info %v, error %v, want ErrP12 with %q", info, err, tt.want)
			}
			if info, err := OpenP12(tt.data, testPassword); !errors.Is(err, ErrP12) || info != nil {
				t.Errorf("opened: info %v, error %v, want ErrP12", info, err)
			}
		})
	}
}

// Algorithms of which there is no file.
func TestReadPBE(t *testing.T) {
	t.Parallel()
	pbes2 := func(salt asn1.RawValue, prf, cipher asn1.ObjectIdentifier) pkix.AlgorithmIdentifier {
		kdf := pbkdf2Params{Salt: salt, Iterations: 3}
		kdf.PRF.Algorithm = prf
		return pkix.AlgorithmIdentifier{
			Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13},
			Parameters: asn1.RawValue{FullBytes: marshal([]pkix.AlgorithmIdentifier{
				{Algorithm: oidPBKDF2, Parameters: asn1.RawValue{FullBytes: marshal(kdf)}},
				{Algorithm: cipher},
			})},
		}
	}
	pbe := func(last int) pkix.AlgorithmIdentifier {
		return pkix.AlgorithmIdentifier{
			Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, last},
			Parameters: asn1.RawValue{FullBytes: marshal(struct {
				Salt       []byte
				Iterations int
			}{nil, 1})},
		}
	}
	salt := asn1.RawValue{Tag: asn1.TagOctetString, Bytes: []byte("salt")}
	aes256 := asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
	for _, tt := range []struct {
		algorithm pkix.AlgorithmIdentifier
		want      string
		needs     []int
	}{
		{pbe(2), "PBE-SHA1-RC4-40, 1 iteration", []int{needOther}},
		{pbe(5), "PBE-SHA1-RC2-128, 1 iteration", []int{needRC2}},
		{pbe(7), "1.2.840.113549.1.12.1.7", []int{needOther}},
		{pkix.AlgorithmIdentifier{Algorithm: pbe(3).Algorithm}, "PBE-SHA1-3DES", []int{needDES, needOther}},
		{pbes2(salt, nil, asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}), "PBES2 3DES-CBC with PBKDF2-HMAC-SHA1, 3 iterations", []int{needAES, needOther}},
		{pbes2(salt, asn1.ObjectIdentifier{1, 2, 3}, asn1.ObjectIdentifier{1, 2, 4}), "PBES2 1.2.4 with 1.2.3, 3 iterations", []int{needAES, needOther}},
		{pbes2(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true}, nil, aes256), "PBES2", []int{needOther}},
		{pkix.AlgorithmIdentifier{Algorithm: pbes2(salt, nil, aes256).Algorithm}, "PBES2", []int{needOther}},
	} {
		f := &p12File{info: &P12Info{}}
		got := f.readPBE(tt.algorithm).String()
		if got != tt.want || !slices.Equal(f.info.needs, tt.needs) {
			t.Errorf("%s, needs %v; want %s, %v", got, f.info.needs, tt.want, tt.needs)
		}
	}
}

// A certificate outside the encryption tells the type of the key.
func TestReadByEd25519(t *testing.T) {
	t.Parallel()
	f := P12{Password: testPassword, Encoding: Modern2023, For: []P12Target{target(t, "openssl")}}
	info, err := InspectP12(file(t, f, client(t, pkitest.Issuing(t), profiles.Ed25519)).Data)
	if err != nil {
		t.Fatal(err)
	}
	yes, no := info.ReadBy()
	if got, want := strings.Join(readerNames(yes), " "), "java15 java26 openssl1 openssl3 openssl3.4 gnutls"; got != want {
		t.Errorf("read by %s, want %s", got, want)
	}
	if got, want := strings.Join(readerNames(no), " "), "macos14 macos15 ios17 ios18 windows8 windows10 windows2016 windows2019 android firefox nss java8 java12"; got != want {
		t.Errorf("not read by %s, want %s", got, want)
	}
}

// However a file was cut or changed, it makes no panic, and what is shown of it
// after its password was checked is what was written.
func TestP12Damaged(t *testing.T) {
	t.Parallel()
	good := readFile(t, "p12", "openssl3-rc2.p12")
	opened, err := OpenP12(good, testPassword)
	if err != nil {
		t.Fatal(err)
	}
	want := describe(opened)
	for i := range good {
		if _, err := InspectP12(good[:i]); !errors.Is(err, ErrP12) {
			t.Fatalf("cut off at %d: error %v, want ErrP12", i, err)
		}
		changed := bytes.Clone(good)
		changed[i] ^= 0x55
		if info, err := openP12(changed, testPassword, 10_000); err == nil && !slices.Equal(describe(info), want) {
			t.Errorf("changed at %d and not noticed", i)
		}
	}
}

// What asks for too much work is refused before any is done.
func TestP12Iterations(t *testing.T) {
	t.Parallel()
	good := file(t, P12{Password: testPassword}, alice(t)).Data
	inParts := func(n int) []byte {
		return edit(t, good, func(p *pfx) {
			var contents []contentInfo
			if err := unmarshalWrapped(p.AuthSafe.Content.Bytes, &contents); err != nil {
				t.Fatal(err)
			}
			last := len(contents) - 1
			var e encryptedData
			if err := unmarshal(contents[last].Content.Bytes, &e); err != nil {
				t.Fatal(err)
			}
			e.Content.Algorithm.Parameters.FullBytes = marshal(struct {
				Salt       []byte
				Iterations int
			}{make([]byte, 8), n})
			contents[last].Content = explicit(marshal(e))
			p.AuthSafe = dataContent(marshal(contents))
		})
	}
	for name, data := range map[string][]byte{
		"in the MAC":        edit(t, good, func(p *pfx) { p.MACData.Iterations = MaxP12Iterations + 1 }),
		"in all":            edit(t, good, func(p *pfx) { p.MACData.Iterations = MaxP12Iterations - 2047 }),
		"in a part":         inParts(MaxP12Iterations),
		"as many as can be": inParts(math.MaxInt),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := OpenP12(data, testPassword); !errors.Is(err, ErrP12) || !strings.Contains(err.Error(), "10000000 iterations") {
				t.Errorf("error %v, want ErrP12 over iterations", err)
			}
			if _, err := InspectP12(data); err != nil {
				t.Errorf("without the password: %v", err)
			}
		})
	}
}

// encryptedFile is a file whose one part has the given bags in it, encrypted
// by testPassword.
func encryptedFile(t testing.TB, bags []byte) []byte {
	t.Helper()
	salt := []byte("saltsalt")
	key, err := pbkdf2.Key(sha256.New, testPassword, salt, 1, 32)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	n := aes.BlockSize - len(bags)%aes.BlockSize
	data := append(bytes.Clone(bags), bytes.Repeat([]byte{byte(n)}, n)...)
	iv := make([]byte, aes.BlockSize)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)

	kdf := pbkdf2Params{Salt: asn1.RawValue{Tag: asn1.TagOctetString, Bytes: salt}, Iterations: 1}
	kdf.PRF.Algorithm = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	var e encryptedData
	e.Content.ContentType = oidData
	e.Content.Algorithm.Algorithm = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	e.Content.Algorithm.Parameters.FullBytes = marshal([]pkix.AlgorithmIdentifier{
		{Algorithm: oidPBKDF2, Parameters: asn1.RawValue{FullBytes: marshal(kdf)}},
		{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, Parameters: asn1.RawValue{Tag: asn1.TagOctetString, Bytes: iv}},
	})
	e.Content.Data = asn1.RawValue{Class: asn1.ClassContextSpecific, Bytes: data}
	safe := marshal([]contentInfo{{oidEncryptedData, explicit(marshal(e))}})
	p := pfx{Version: 3, AuthSafe: dataContent(safe)}
	p.MACData.Mac.Algorithm.Algorithm = oidSHA1
	p.MACData.Iterations = 1
	scheme, err := p.MACData.scheme()
	if err != nil {
		t.Fatal(err)
	}
	if p.MACData.Mac.Digest, err = scheme.sum(safe, bmpPassword(testPassword)); err != nil {
		t.Fatal(err)
	}
	return marshal(p)
}

// What is hostile inside the encryption, made by somebody who knows the
// password, stays closed as well.
func TestP12HostileInside(t *testing.T) {
	t.Parallel()
	leaf := safeBag{ID: oidCertBag, Value: explicit(marshal(certBag{oidX509, alice(t).Leaf().Raw}))}
	// A key that asks for 2^31-1 iterations.
	slow := marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}{pkix.AlgorithmIdentifier{
		Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 3},
		Parameters: asn1.RawValue{FullBytes: marshal(struct {
			Salt       []byte
			Iterations int
		}{make([]byte, 8), math.MaxInt32})},
	}, make([]byte, 64)})
	for name, tt := range map[string]struct {
		bags    []byte
		problem string
	}{
		"a certificate":       {marshal([]safeBag{leaf}), ""},
		"a key that is slow":  {marshal([]safeBag{leaf, {ID: oidShroudedBag, Value: explicit(slow)}}), "go-pkcs12: expected exactly one key bag"},
		"nothing":             {marshal([]safeBag{}), "go-pkcs12: certificate missing"},
		"a bad certificate":   {marshal([]safeBag{{ID: oidCertBag, Value: explicit(marshal(certBag{oidX509, []byte("x")}))}}), "go-pkcs12: x509: malformed certificate"},
		"no bags but garbage": {[]byte("garbage"), "go-pkcs12: asn1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			info, err := OpenP12(encryptedFile(t, tt.bags), testPassword)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Contents[0].Problem; !strings.HasPrefix(got, tt.problem) || (got == "") != (tt.problem == "") {
				t.Errorf("problem %q, want %q", got, tt.problem)
			}
			if want := tt.problem == ""; (len(info.Certificates()) == 1) != want {
				t.Errorf("%d certificates", len(info.Certificates()))
			}
			// 2^31 iterations take minutes.
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func FuzzInspectP12(f *testing.F) {
	seeds := p12Files(f)
	for _, e := range P12Encodings() {
		seeds[string(e)] = file(f, P12{Encoding: e, Password: testPassword}, alice(f)).Data
	}
	if len(seeds) < 21 {
		f.Fatalf("%d seeds, want 21 or more", len(seeds))
	}
	for name, data := range seeds {
		f.Add(data, passwordOf(name))
	}
	f.Fuzz(func(t *testing.T, data []byte, password string) {
		info, err := InspectP12(data)
		if (err == nil) != (info != nil) {
			t.Fatalf("info %v with error %v", info, err)
		}
		if err != nil && !errors.Is(err, ErrP12) {
			t.Errorf("error %v is not ErrP12", err)
		}
		if info != nil {
			describe(info)
			info.ReadBy()
		}
		opened, err := openP12(data, password, 20_000)
		if (err == nil) != (opened != nil) {
			t.Fatalf("opened %v with error %v", opened, err)
		}
		if err != nil && !errors.Is(err, ErrP12) && !errors.Is(err, ErrPassword) {
			t.Errorf("error %v is neither ErrP12 nor ErrPassword", err)
		}
	})
}

func FuzzToDER(f *testing.F) {
	for _, data := range p12Files(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		der, err := toDER(data)
		if err != nil {
			return
		}
		again, err := toDER(der)
		if err != nil || !bytes.Equal(again, der) {
			t.Errorf("%x became %x, and that %x, %v", data, der, again, err)
		}
		var v asn1.RawValue
		if err := unmarshal(der, &v); unmarshal(data, &v) == nil && err != nil {
			t.Errorf("%x became %x: %v", data, der, err)
		}
	})
}
