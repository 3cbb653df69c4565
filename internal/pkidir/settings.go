package pkidir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
)

// formatVersion is that of the directory's layout and settings.
const formatVersion = 1

// settings are mtlsctl.yaml.
type settings struct {
	Version     int                          `yaml:"version"`
	Default     string                       `yaml:"default"`
	Authorities map[string]authoritySettings `yaml:"authorities,omitempty"`
}

// authoritySettings are where an authority publishes.
type authoritySettings struct {
	CRL  []string `yaml:"crl,omitempty"`
	AIA  []string `yaml:"aia,omitempty"`
	OCSP []string `yaml:"ocsp,omitempty"`
	// IDP are the URLs of the issuing distribution point of its CRLs.
	IDP []string `yaml:"idp,omitempty"`
}

func newSettings() []byte {
	return fmt.Appendf(nil, `# Settings of this PKI directory.
version: %d
# The authority that signs when --ca names no other.
default: ""
`, formatVersion)
}

func readSettings(root *os.Root) (settings, error) {
	var s settings
	data, err := root.ReadFile(settingsFile)
	if err != nil {
		return s, err
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	err = dec.Decode(&s)
	if err != nil && !errors.Is(err, io.EOF) {
		// A later version may have fields unknown here.
		var v struct {
			Version int `yaml:"version"`
		}
		if yaml.Unmarshal(data, &v) != nil || v.Version <= formatVersion {
			return s, settingsError(err)
		}
		s.Version = v.Version
	}
	if s.Version > formatVersion {
		return s, fmt.Errorf("%s has version %d, and this program knows %d: %w", settingsFile, s.Version, formatVersion, ledger.ErrNewer)
	}
	if s.Version < 1 {
		return s, settingsError(fmt.Errorf("it has no version; this program writes %d", formatVersion))
	}
	return s, nil
}

// loadSettings reads the settings that there are now.
func (d *Dir) loadSettings() error {
	s, err := readSettings(d.root)
	if err == nil {
		d.settings.Store(&s)
	}
	return err
}

// settingsError puts what the YAML package says over several lines and in Go's
// terms into one line of the file's.
func settingsError(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	var t *yaml.TypeError
	if errors.As(err, &t) {
		text = strings.Join(t.Errors, "; ")
	}
	text = strings.NewReplacer(
		" not found in type pkidir.settings", " is unknown",
		" not found in type pkidir.authoritySettings", " is unknown below an authority",
		"cannot unmarshal !!", "a wrong value: !!",
		" into pkidir.settings", ", not fields",
		" into pkidir.authoritySettings", ", not fields",
	).Replace(text)
	return fmt.Errorf("%w: %s: %s", ErrSettings, settingsFile, text)
}

// changedSettings returns the text of the settings with another default
// authority, if there is a name for it, and with the URLs of authorities, if there
// are any; nil if nothing changes. The comments of the file stay.
func (d *Dir) changedSettings(def string, urls map[string]pki.URLs) ([]byte, error) {
	data, err := d.root.ReadFile(settingsFile)
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, settingsError(err)
	}
	top := doc.Content[0]
	changed := false // what nobody changes keeps its layout, too
	if node := field(top, "default"); def != "" && node.Value != def {
		node.SetString(def)
		changed = true
	}
	for name, u := range urls {
		s := authoritySettings{CRL: u.CRL, AIA: u.AIA, OCSP: u.OCSP}
		if len(s.CRL)+len(s.AIA)+len(s.OCSP) == 0 {
			continue
		}
		if err := field(field(top, "authorities"), name).Encode(s); err != nil {
			return nil, err
		}
		changed = true
	}
	if !changed {
		return nil, nil
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	err = enc.Encode(&doc)
	return out.Bytes(), err
}

// publishSettings puts settings that were staged with an authority into their
// place, if there are any.
func (d *Dir) publishSettings(stage string) error {
	err := d.root.Rename(path.Join(stage, settingsFile), settingsFile) //nolint:forbidigo // atomicfile wrote it
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = atomicfile.SyncDir(d.root, ".")
	}
	if err == nil {
		err = d.loadSettings()
	}
	return err
}

// field returns the value of a key of a YAML mapping, which it makes if it is
// not there.
func field(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		*n = yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	}
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	value := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, value)
	return value
}

// DefaultAuthority returns the name of the authority that signs when no other
// is named; empty if there is none.
func (d *Dir) DefaultAuthority() string { return d.settings.Load().Default }

// urls returns where an authority publishes.
func (d *Dir) urls(name string) pki.URLs {
	s := d.authoritySettings(name)
	return pki.URLs{CRL: slices.Clone(s.CRL), AIA: slices.Clone(s.AIA), OCSP: slices.Clone(s.OCSP)}
}

func (d *Dir) authoritySettings(name string) authoritySettings {
	for n, s := range d.settings.Load().Authorities {
		if strings.EqualFold(n, name) {
			return s
		}
	}
	return authoritySettings{}
}
