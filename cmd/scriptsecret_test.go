package cmd_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
	"github.com/rogpeppe/go-internal/testscript"
	"sigs.k8s.io/yaml"

	"github.com/mtlsctl/mtlsctl/pki"
)

// An answer is what apply writes: a Secret, or a CertificateRequest with its
// status.
type answer struct {
	Kind     string `json:"kind"`
	Type     string `json:"type"`
	Metadata struct {
		Name        string            `json:"name"`
		Namespace   string            `json:"namespace"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Data   map[string][]byte `json:"data"`
	Status struct {
		CA          []byte `json:"ca"`
		Certificate []byte `json:"certificate"`
		Conditions  []struct {
			Type, Status, Reason string
		} `json:"conditions"`
	} `json:"status"`
}

// readAnswers reads a stream of answers, in YAML or JSON.
func readAnswers(data []byte) (all []answer, err error) {
	if bytes.HasPrefix(data, []byte("{")) {
		for d := json.NewDecoder(bytes.NewReader(data)); ; {
			var a answer
			if err := d.Decode(&a); errors.Is(err, io.EOF) {
				return all, nil
			} else if err != nil {
				return nil, err
			}
			all = append(all, a)
		}
	}
	for doc := range bytes.SplitSeq(data, []byte("---\n")) {
		if len(doc) == 0 {
			continue
		}
		var a answer
		if err := yaml.Unmarshal(doc, &a); err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// answers FILE
func cmdAnswers(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, !neg && len(args) == 1, "answers FILE")
	data, err := reader(ts)(args[0])
	ts.Check(err)
	all, err := readAnswers(data)
	ts.Check(err)
	for _, a := range all {
		_, err := fmt.Fprintf(ts.Stdout(), "%s %s/%s\n", a.Kind, a.Metadata.Namespace, a.Metadata.Name)
		ts.Check(err)
	}
}

// unpack FILE NAMESPACE/NAME DIR
func cmdUnpack(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, !neg && len(args) == 3, "unpack FILE NAMESPACE/NAME DIR")
	data, err := reader(ts)(args[0])
	ts.Check(err)
	all, err := readAnswers(data)
	ts.Check(err)
	for _, a := range all {
		if a.Metadata.Namespace+"/"+a.Metadata.Name != args[1] {
			continue
		}
		if a.Kind == "CertificateRequest" {
			a.Data = map[string][]byte{"tls.crt": a.Status.Certificate, "ca.crt": a.Status.CA}
		}
		dir := ts.MkAbs(args[2])
		ts.Check(os.MkdirAll(dir, 0o700))
		var b strings.Builder
		fmt.Fprintf(&b, "%s %s\n", a.Kind, a.Type)
		for _, c := range a.Status.Conditions {
			fmt.Fprintf(&b, "condition %s %s %s\n", c.Type, c.Status, c.Reason)
		}
		for _, k := range slices.Sorted(maps.Keys(a.Metadata.Labels)) {
			fmt.Fprintf(&b, "label %s: %q\n", k, a.Metadata.Labels[k])
		}
		for _, k := range slices.Sorted(maps.Keys(a.Metadata.Annotations)) {
			fmt.Fprintf(&b, "annotation %s: %q\n", k, a.Metadata.Annotations[k])
		}
		for _, k := range slices.Sorted(maps.Keys(a.Data)) {
			fmt.Fprintf(&b, "data %s\n", k)
			ts.Check(os.WriteFile(filepath.Join(dir, k), a.Data[k], 0o600))
		}
		_, err := io.WriteString(ts.Stdout(), b.String())
		ts.Check(err)
		return
	}
	ts.Fatalf("%s has no %s", args[0], args[1])
}

// absent DIR FILE...
func cmdAbsent(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, len(args) > 1, "[!] absent DIR FILE...")
	var where []string
	for _, file := range args[1:] {
		secret, err := reader(ts)(file)
		ts.Check(err)
		secret = bytes.TrimSpace(secret)
		ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(path)
			for what, form := range formsOf(secret) {
				if bytes.Contains(data, []byte(form)) {
					where = append(where, fmt.Sprintf("%s holds what is in %s, %s", path, file, what))
				}
			}
			return err
		}))
	}
	switch {
	case neg && where == nil:
		ts.Fatalf("it is nowhere in %s", args[0])
	case !neg && where != nil:
		ts.Fatalf("%s", strings.Join(where, "\n"))
	}
}

// formsOf are the ways in which text may stand in a file, in base64 wherever it
// begins.
func formsOf(secret []byte) map[string]string {
	forms := map[string]string{"raw": string(secret), "hexadecimal": hex.EncodeToString(secret)}
	for before := range 3 {
		// What shares a digit with its neighbours is left out.
		encoded := base64.StdEncoding.EncodeToString(append(make([]byte, before), secret...))
		begin, end := (before*8+5)/6, (before+len(secret))*8/6
		forms[fmt.Sprintf("base64 at %d", before)] = encoded[begin:end]
	}
	return forms
}

// jks FILE PASSWORDFILE KEY=VALUE...
func cmdJKS(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, !neg && len(args) > 2, "jks FILE PASSWORDFILE KEY=VALUE...")
	data, err := reader(ts)(args[0])
	ts.Check(err)
	password, err := reader(ts)(args[1])
	ts.Check(err)
	password = bytes.TrimRight(password, "\r\n")
	ks := keystore.New()
	ts.Check(ks.Load(bytes.NewReader(data), password))
	aliases := ks.Aliases()
	slices.Sort(aliases)
	for _, arg := range args[2:] {
		key, want, _ := strings.Cut(arg, "=")
		switch key {
		case "aliases":
			if is := strings.Join(aliases, ","); is != want {
				ts.Fatalf("the aliases of %s are %s, not %s", args[0], is, want)
			}
		case "keymatch":
			keyPEM, err := reader(ts)(want)
			ts.Check(err)
			other, err := pki.ParseKey(keyPEM, nil)
			ts.Check(err)
			der, err := x509.MarshalPKCS8PrivateKey(other)
			ts.Check(err)
			i := slices.IndexFunc(aliases, ks.IsPrivateKeyEntry)
			if i < 0 {
				ts.Fatalf("%s has no key", args[0])
			}
			entry, err := ks.GetPrivateKeyEntry(aliases[i], password)
			ts.Check(err)
			if !bytes.Equal(entry.PrivateKey, der) {
				ts.Fatalf("%s holds another key than %s", args[0], want)
			}
		default:
			ts.Fatalf("jks knows no key %q", key)
		}
	}
}
