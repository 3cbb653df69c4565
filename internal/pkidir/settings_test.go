package pkidir

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	file := filepath.Join(path, settingsFile)
	mine := "# mine\nversion: 1\ndefault:   issuing # for now\n\nauthorities:\n    Issuing: {crl: [http://a.example/i.crl]}   # there\n"
	must(t, os.WriteFile(file, []byte(mine), 0o644))
	add := func(o AuthorityOptions, orders ...AuthorityOrder) error {
		o.Passphrase = noPassphrase
		_, err := CreateAuthorities(context.Background(), path, pkitest.Clock, orders, o)
		return err
	}

	// What nobody changes keeps its layout.
	must(t, add(AuthorityOptions{}, authorityOrder(t, "plain", "")))
	if got, err := os.ReadFile(file); err != nil || string(got) != mine {
		t.Errorf("the settings changed to\n%s", got)
	}

	// What is changed keeps its comments.
	urls := authorityOrder(t, "mesh", "root")
	urls.URLs = pki.URLs{CRL: []string{"http://a.example/m.crl"}, OCSP: []string{"http://ocsp.example"}}
	must(t, add(AuthorityOptions{Default: "mesh"}, urls))
	got, err := os.ReadFile(file)
	must(t, err)
	for _, want := range []string{"# mine\n", "default: mesh # for now\n", "Issuing:", "# there\n", "mesh:\n", "- http://a.example/m.crl\n", "- http://ocsp.example\n"} {
		if !strings.Contains(string(got), want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	d := open(t, path)
	if diff := cmp.Diff(urls.URLs, d.urls("MESH")); diff != "" || d.DefaultAuthority() != "mesh" {
		t.Errorf("default %s (-want +got):\n%s", d.DefaultAuthority(), diff)
	}
	if diff := cmp.Diff([]string{"http://a.example/i.crl"}, d.urls("issuing").CRL); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	// An authority that does not come to be leaves no trace in them.
	loser := authorityOrder(t, "mesh", "")
	loser.URLs = pki.URLs{CRL: []string{"http://b.example/other.crl"}}
	if err := add(AuthorityOptions{Default: "mesh"}, loser); !errors.Is(err, ledger.ErrExists) {
		t.Errorf("a second mesh: %v", err)
	}
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(after, got) {
		t.Errorf("the settings changed to\n%s", after)
	}
	check(t, path)
}

func TestSettingsErrors(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	for text, want := range map[string]struct {
		cause error
		text  string
	}{
		"version: 2\nanything: else\n": {ledger.ErrNewer, "mtlsctl.yaml has version 2, and this program knows 1: made by a newer version of mtlsctl"},
		"version: 1\nlogo: cat\n":      {ErrSettings, "the settings cannot be used: mtlsctl.yaml: line 2: field logo is unknown"},
		"version: 1\nauthorities: {a: {cdp: [x]}}\n": {
			ErrSettings, "the settings cannot be used: mtlsctl.yaml: line 2: field cdp is unknown below an authority",
		},
		"default: issuing\n": {ErrSettings, "the settings cannot be used: mtlsctl.yaml: it has no version; this program writes 1"},
		"version: [\n":       {ErrSettings, "the settings cannot be used: mtlsctl.yaml: line 1: did not find expected node content"},
		"":                   {ErrSettings, "the settings cannot be used: mtlsctl.yaml: it has no version; this program writes 1"},
	} {
		must(t, os.WriteFile(filepath.Join(path, settingsFile), []byte(text), 0o644))
		d, err := Open(path, pkitest.Clock)
		if d != nil || !errors.Is(err, want.cause) || err.Error() != path+": "+want.text {
			t.Errorf("%q: %v\ngot  %v\nwant %s: %s", text, d != nil, err, path, want.text)
		}
	}
}

func TestProfiles(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	for _, file := range []string{"robot.yaml", "b.yaml", "notes.txt", "not a name.yaml", ".hidden.yaml", "robot.yml"} {
		must(t, os.WriteFile(filepath.Join(path, profilesDir, file), []byte(file), 0o600))
	}
	must(t, os.Mkdir(filepath.Join(path, profilesDir, "folder.yaml"), 0o700))
	if diff := cmp.Diff([]string{"b", "robot"}, Profiles(path)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	data, file, err := ReadProfile(path, "robot")
	if err != nil || string(data) != "robot.yaml" || file != filepath.Join(path, profilesDir, "robot.yaml") {
		t.Errorf("ReadProfile = %q, %q, %v", data, file, err)
	}
	if Profiles(filepath.Join(path, "nowhere")) != nil {
		t.Error("a directory that is not there has profiles")
	}
}
