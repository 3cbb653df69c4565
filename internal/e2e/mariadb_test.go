package e2e

import (
	"os"
	"strings"
	"testing"
)

// TestForMySQL has MariaDB stand in for MySQL, whose options it takes.
func TestForMySQL(t *testing.T) {
	t.Parallel()
	s := newGuarded(t, "server", "mariadbd", "mariadb", "mariadb-install-db")
	if err := os.Mkdir(s.path("server"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.give(t, "server")
	s.ok(t, s.demoted(t, "mariadb-install-db")+"--no-defaults --innodb-log-file-size=4M --datadir="+s.path("server", "data"),
		"--auth-root-authentication-method=normal", "--skip-test-db")
	_, who, _ := strings.Cut(s.exportFor(t, "alice", "mysql", "early"), "REQUIRE ")
	s.write(t, "server/users.sql", []byte("CREATE USER IF NOT EXISTS alice REQUIRE "+strings.TrimSpace(who)+";\nCREATE USER IF NOT EXISTS bob REQUIRE X509;\n"))

	var address string
	s.guard(t, &guarded{
		consumer: "mysql",
		start: func(t *testing.T, config string) (p *process) {
			t.Helper()
			onFreePorts(t, 1, func(free []string) error {
				address = free[0]
				host, port := hostPort(t, address)
				s.write(t, "server/my.cnf", []byte("[mysqld]\nbind-address="+host+"\nport="+port+"\nsocket=mariadb.sock\nskip-name-resolve\n"+
					"innodb-log-file-size=4M\ninnodb-flush-log-at-trx-commit=0\ndatadir="+s.path("server", "data")+"\ninit-file="+s.path("server", "users.sql")+"\n"+config))
				s.give(t, "server")
				s.give(t, "for it")
				p = s.start(t, s.demoted(t, "mariadbd")+"--defaults-file="+s.path("server", "my.cnf"))
				return p.await("mariadbd to be ready", func() bool { return strings.Contains(p.log(), "ready for connections") })
			})
			return p
		},
		client: "mysql",
		call: func(t *testing.T, c caller) output {
			host, port := hostPort(t, address)
			s.write(t, "client.cnf", []byte(c.lines))
			// In TLS 1.3 the client may find the connection closed before it reads why.
			return s.run(t, "mariadb --defaults-file=client.cnf --protocol=tcp -h "+host+" -P "+port+" -u "+c.name+" --tls-version=TLSv1.2 -e",
				"SELECT CONCAT('hello ', CURRENT_USER())")
		},
		answer:   "hello ",
		nobody:   "Access denied for user",
		stranger: "alert unknown ca",
		revoked:  "alert certificate revoked",
		itself:   "certificate revoked",
	})
}
