package plan

import (
	"cmp"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/mtlsctl/mtlsctl/internal/manifest"
)

// A finder looks for what may have been meant by a name that names nothing. Its
// lists are made at the first question, and it stops guessing when that would take
// longer than the rest of the plan.
type finder struct {
	p       *planner
	secrets []manifest.Key // by name, then namespace
	issuers []manifest.IssuerKey
	spent   int
}

// patience is how many names are compared for likeness in one plan.
const patience = 200_000

func (f *finder) load() {
	if f.secrets != nil {
		return
	}
	f.secrets = make([]manifest.Key, 0, len(f.p.writers)+len(f.p.set.Secrets))
	f.secrets = slices.AppendSeq(f.secrets, maps.Keys(f.p.writers))
	f.secrets = slices.AppendSeq(f.secrets, maps.Keys(f.p.set.Secrets))
	slices.SortFunc(f.secrets, func(a, b manifest.Key) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Namespace, b.Namespace))
	})
	f.secrets = slices.Compact(f.secrets)
}

// elsewhere returns the Secrets of the same name in other namespaces.
func (f *finder) elsewhere(s manifest.Key) []manifest.Key {
	f.load()
	i := sort.Search(len(f.secrets), func(i int) bool { return f.secrets[i].Name >= s.Name })
	j := i
	for j < len(f.secrets) && f.secrets[j].Name == s.Name {
		j++
	}
	return f.secrets[i:j]
}

// near returns the Secret in the same namespace whose name is most like s's.
func (f *finder) near(s manifest.Key) (manifest.Key, bool) {
	f.load()
	best, found := 0, manifest.Key{}
	for _, k := range f.secrets {
		if k.Namespace != s.Namespace {
			continue
		}
		if f.spent++; f.spent > patience {
			break
		}
		if l := likeness(s.Name, k.Name); l > best {
			best, found = l, k
		}
	}
	return found, best > 0
}

// describe names a Secret, and the Certificate that writes it.
func (f *finder) describe(s manifest.Key) string {
	if i, ok := f.p.writers[s]; ok {
		return "Secret " + s.String() + ", written by Certificate " + f.p.set.Certificates[i].Key.String()
	}
	return "Secret " + s.String()
}

func (f *finder) loadIssuers() {
	if f.issuers != nil {
		return
	}
	f.issuers = slices.AppendSeq(slices.Collect(maps.Keys(f.p.set.Issuers)), maps.Keys(f.p.in.Issuers))
	slices.SortFunc(f.issuers, func(a, b manifest.IssuerKey) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Kind, b.Kind))
	})
	f.issuers = slices.Compact(f.issuers)
}

// issuersElsewhere returns the issuers of the same name.
func (f *finder) issuersElsewhere(k manifest.IssuerKey) []manifest.Key {
	f.loadIssuers()
	var all []manifest.Key
	i := sort.Search(len(f.issuers), func(i int) bool { return f.issuers[i].Name >= k.Name })
	for ; i < len(f.issuers) && f.issuers[i].Name == k.Name; i++ {
		all = append(all, f.issuers[i].Key)
	}
	return all
}

// nearIssuer returns the issuer that k's namespace may use whose name is most
// like k's; of two, the one of the same kind.
func (f *finder) nearIssuer(k manifest.IssuerKey) (manifest.IssuerKey, bool) {
	f.loadIssuers()
	best, found := 0, manifest.IssuerKey{}
	for _, i := range f.issuers {
		if i.Namespace != "" && i.Namespace != k.Namespace {
			continue
		}
		if f.spent++; f.spent > patience {
			break
		}
		l := 2 * likeness(k.Name, i.Name)
		if l > 0 && i.Kind == k.Kind {
			l++
		}
		if l > best {
			best, found = l, i
		}
	}
	return found, best > 0
}

// foreignIssuer returns the kind of an external issuer among what was passed over.
func (f *finder) foreignIssuer() string {
	for _, kind := range slices.Sorted(maps.Keys(f.p.set.Passed)) {
		if name, _, ok := strings.Cut(kind, "."); ok && strings.HasSuffix(name, "Issuer") {
			return kind
		}
	}
	return ""
}

// likeness is 0 for names that are not alike; the more, the more alike.
func likeness(a, b string) int {
	if a == "" || b == "" {
		return 0
	}
	if extends(a, b) || extends(b, a) {
		return 1
	}
	most := 2
	if min(len(a), len(b)) < 5 {
		most = 1
	}
	if d := distance(a, b, most); d <= most {
		return 4 - d
	}
	return 0
}

// extends reports whether a is b with a word before or after it.
func extends(a, b string) bool {
	return strings.HasPrefix(a, b+"-") || strings.HasSuffix(a, "-"+b)
}

// distance is Levenshtein's, in bytes; anything above most may be too small.
func distance(a, b string, most int) int {
	if d := len(a) - len(b); d > most || -d > most {
		return most + 1
	}
	var buffer [64]int // enough for most, and free
	row := buffer[:]
	if len(b) >= len(buffer) {
		row = make([]int, len(b)+1)
	}
	row = row[:len(b)+1]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
