package sources

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sekimori/testdata/peer"
)

const tables = `CREATE TABLE domains (name text, owner text, active integer);
INSERT INTO domains VALUES ('example.com', 'alice', 1), ('Bücher.example', NULL, 1), ('gone.example', 'bob', 0)`

const activeDomains = "SELECT name, owner FROM domains WHERE active = 1"

func TestSQLite(t *testing.T) {
	s := newStand(t, Source{Name: "panel", Kind: SQL, Query: activeDomains})
	path := filepath.Join(s.dir, "panel #100%.db")
	db, err := sql.Open("sqlite", path)
	must(t, err)
	defer db.Close()
	s.o.Sources[0].Database = "sqlite:" + path
	testDatabase(t, s, db)
	_, err = db.Exec("DROP TABLE domains")
	must(t, err)
	s.waitFor("it is told", func() bool { return strings.Contains(s.problem("panel"), "no such table") })
	if s.live.Domains().Len() != 3 {
		t.Errorf("%d domains", s.live.Domains().Len())
	}
}

func TestPostgres(t *testing.T) {
	server := startPostgres(t)
	s := newStand(t, Source{Name: "panel", Kind: SQL, Query: activeDomains, Database: server.url("postgres")})
	db, err := sql.Open("pgx", server.url("postgres"))
	must(t, err)
	defer db.Close()
	testDatabase(t, s, db)

	must(t, db.Close())
	server.command(t, "stop", "-m", "immediate")
	s.waitFor("it is told", func() bool { return s.problem("panel") != "" })
	if n := s.live.Domains().Len(); n != 3 {
		t.Errorf("%d domains while the database is down", n)
	}
	if strings.Contains(s.log.String()+s.problem("panel"), server.password) {
		t.Errorf("the password is told:\n%s", s.log)
	}
	server.command(t, "start", "-w", "-l", filepath.Join(server.dir, "log"))
	s.waitFor("it is right again", func() bool { return s.problem("panel") == "" })
	s.k.Stop()

	slow := Source{Name: "slow", Kind: SQL, Query: "SELECT pg_sleep(20)::text", Database: server.url("postgres"), Timeout: time.Second}
	start := time.Now()
	if c := (&query{source: slow}).look(context.Background(), time.Now()); c.broken == nil || time.Since(start) > 10*time.Second {
		t.Errorf("%v after %v", c.broken, time.Since(start))
	}
	harm := Source{Kind: SQL, Query: "DELETE FROM domains RETURNING name", Database: server.url("postgres"), Timeout: 10 * time.Second}
	if c := (&query{source: harm}).look(context.Background(), time.Now()); c.broken == nil || !strings.Contains(c.broken.Error(), "read-only") {
		t.Errorf("a query that writes: %v", c.broken)
	}
}

// testDatabase is what holds for each database.
func testDatabase(t *testing.T, s *stand, db *sql.DB) {
	t.Helper()
	_, err := db.Exec(tables)
	must(t, err)
	s.o.Sources[0].Interval = time.Second
	s.start()
	want := map[string]string{"example.com": "alice", "xn--bcher-kva.example": ""}
	if got := maps.Collect(s.live.Domains().All()); !maps.Equal(got, want) {
		t.Fatalf("%v", got)
	}
	_, err = db.Exec("UPDATE domains SET active = 1")
	must(t, err)
	s.waitFor("a domain more", func() bool { return s.has("gone.example") })
	_, err = db.Exec("UPDATE domains SET active = 0")
	must(t, err)
	s.waitFor("it is told", func() bool { return strings.Contains(s.problem("panel"), "has only 0 of its 3 domains left") })
	if s.live.Domains().Len() != 3 {
		t.Errorf("%d domains", s.live.Domains().Len())
	}
	_, err = db.Exec("UPDATE domains SET active = 1")
	must(t, err)
	s.waitFor("it is right again", func() bool { return s.problem("panel") == "" })
	for query, want := range map[string]string{
		"SELECT name, owner, active FROM domains": "gives 3 columns",
		"SELECT nothing FROM domains":             "asking: ",
		"SELECT NULL FROM domains":                "name no domain",
	} {
		wrong := s.o.Sources[0]
		wrong.Query = query
		if c := newReader(wrong, nil).look(context.Background(), time.Now()); c.broken == nil || !strings.Contains(c.broken.Error(), want) {
			t.Errorf("%s: %v", query, c.broken)
		}
	}
}

func TestDatabaseAddress(t *testing.T) {
	for _, bad := range []string{"", "sqlite:panel.db", "mysql://x", "/var/lib/panel.db", "postgres://u:secret@h:port/x", "host=x password=secret"} {
		if err := CheckDatabase(bad); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for address, want := range map[string]string{
		"postgres://u:secret@h/x?sslmode=require&password=secret": "postgres://u@h/x?sslmode=require",
		"sqlite:/var/lib/panel.db":                                "sqlite:/var/lib/panel.db",
	} {
		if err := CheckDatabase(address); err != nil {
			t.Errorf("%s: %v", address, err)
		}
		if got := withoutSecrets(address); got != want {
			t.Errorf("%s: %s", address, got)
		}
	}
}

// postgres is a real PostgreSQL with a directory of its own.
type postgres struct {
	dir, bin, password string
	port               int
	as                 *syscall.SysProcAttr
}

func startPostgres(t *testing.T) *postgres {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	owner, err := user.Lookup("postgres")
	peer.Require(t, len(found) > 0 && err == nil && os.Geteuid() == 0, "PostgreSQL is not installed (Debian: apt-get install postgresql), or we are not root")
	dir, err := os.MkdirTemp("", "sekimori-postgres")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(owner.Gid)
	must(t, os.Chown(dir, uid, gid))
	p := &postgres{
		dir: dir, bin: filepath.Dir(found[len(found)-1]), password: "secret-of-the-test", port: freePort(t),
		as: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}},
	}
	secret := filepath.Join(dir, "secret")
	must(t, os.WriteFile(secret, []byte(p.password+"\n"), 0o644))
	p.run(t, "initdb", "-D", filepath.Join(dir, "data"), "-U", "panel", "-A", "scram-sha-256", "--pwfile", secret, "-N", "-E", "UTF8", "--locale", "C")
	settings := fmt.Sprintf("listen_addresses = '127.0.0.1'\nport = %d\nunix_socket_directories = '%s'\nfsync = off\n", p.port, dir)
	f, err := os.OpenFile(filepath.Join(dir, "data", "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString(settings)
	must(t, err)
	must(t, f.Close())
	p.command(t, "start", "-w", "-l", filepath.Join(dir, "log"))
	t.Cleanup(func() { p.command(t, "stop", "-m", "immediate") })
	return p
}

func (p *postgres) command(t *testing.T, args ...string) {
	t.Helper()
	p.run(t, "pg_ctl", append([]string{"-D", filepath.Join(p.dir, "data")}, args...)...)
}

func (p *postgres) run(t *testing.T, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(p.bin, program), args...)
	cmd.Dir, cmd.SysProcAttr = p.dir, p.as
	out, err := os.Create(filepath.Join(p.dir, "out")) // a pipe would wait for the server that inherits it
	must(t, err)
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	must(t, out.Close())
	if err != nil {
		words, _ := os.ReadFile(out.Name())
		t.Fatalf("%s: %v\n%s", program, err, words)
	}
}

func (p *postgres) url(database string) string {
	return fmt.Sprintf("postgres://panel:%s@127.0.0.1:%d/%s?sslmode=disable", p.password, p.port, database)
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
