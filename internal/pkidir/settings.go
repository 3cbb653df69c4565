package pkidir

import (
	"bytes"
	"errors"
	"fmt"
	"os"
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
	// The version comes first: a later one may have fields unknown here.
	var v struct {
		Version int `yaml:"version"`
	}
	if err := yaml.Unmarshal(data, &v); err != nil {
		return s, settingsError(err)
	}
	if v.Version > formatVersion {
		return s, fmt.Errorf("%s has version %d, and this program knows %d: %w", settingsFile, v.Version, formatVersion, ledger.ErrNewer)
	}
	if v.Version < 1 {
		return s, settingsError(fmt.Errorf("it has no version; this program writes %d", formatVersion))
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&s); err != nil {
		return s, settingsError(err)
	}
	return s, nil
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

// updateSettings sets the default authority, if there is a name for it, and the
// URLs of an authority, if there are any. The comments of the file stay.
func (d *Dir) updateSettings(def string, urls map[string]pki.URLs) error {
	data, err := d.root.ReadFile(settingsFile)
	if err != nil {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return settingsError(err)
	}
	top := doc.Content[0]
	changed := false // what nobody changes keeps its layout, too
	if node := field(top, "default"); def != "" && node.Value != def {
		node.SetString(def)
		changed = true
	}
	for name, u := range urls {
		s := authoritySettings(u)
		if len(s.CRL)+len(s.AIA)+len(s.OCSP) == 0 {
			continue
		}
		if err := field(field(top, "authorities"), name).Encode(s); err != nil {
			return err
		}
		changed = true
	}
	if !changed {
		return nil
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return err
	}
	if err := atomicfile.Replace(d.root, settingsFile, out.Bytes(), atomicfile.Public); err != nil {
		return &PathError{d.Path(settingsFile), fmt.Errorf("cannot write it: %w", atomicfile.Reason(err))}
	}
	d.settings, err = readSettings(d.root)
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
func (d *Dir) DefaultAuthority() string { return d.settings.Default }

// urls returns where an authority publishes.
func (d *Dir) urls(name string) pki.URLs {
	for n, s := range d.settings.Authorities {
		if strings.EqualFold(n, name) {
			return pki.URLs{CRL: slices.Clone(s.CRL), AIA: slices.Clone(s.AIA), OCSP: slices.Clone(s.OCSP)}
		}
	}
	return pki.URLs{}
}
