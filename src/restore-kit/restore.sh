#!/usr/bin/env bash
# Restores the backup in this directory into an empty database, with stock tools alone.
#
# This text is the same in every backup: it holds nothing of the database. Names and statements stand in files under restore/ and are addressed by byte
# ranges; none of them ever becomes a word of the shell. Format: docs/format.md of dbbackup, section 6.
#
# Lowest versions: bash 4.4, GNU coreutils 8.24, psql 11, pg_restore of the major version of the pg_dump that wrote the schema, zstd 1.0, lz4 1.8 and
# gzip 1.3 where the data files need them, xxhsum 0.8 where it is installed; PostgreSQL 13 as the target.

set -uo pipefail
export LC_ALL=C
unset PGCLIENTENCODING
umask 077

readonly status_failed=1 status_usage=2 status_unfinished=10 status_damaged=20

usage() {
  cat <<'EOF'
Usage: ./restore.sh -d DATABASE [-n NUMBER] [options]
       ./restore.sh -a | -g [-d DATABASE] [options]
       ./restore.sh -c | -l

Restores one database of the backup in this directory into DATABASE, which must exist and be empty:
  createdb -T template0 -E ENCODING DATABASE      (the encoding is named in restore/0001/config)
Restores a whole cluster with -a: roles and tablespaces, then every database under its own name.

  -d DATABASE   name, URI or keyword string of the target; with -a and -g the name of a
                database to connect to first (default: postgres)
  -n NUMBER     which database of the backup, of several
  -l            list the databases of the backup with their numbers
  -a, --all     restore roles, tablespaces and all databases
  -g, --globals restore roles and tablespaces alone; as in pg_dumpall's script, roles that
                exist already get the password and attributes they have in the backup
  -h HOST       host name or directory of the Unix socket
  -p PORT       port
  -U USER       user name
  -j JOBS       connections that load at the same time
  -O            leave ownership out (roles need not exist, but for those that grants
                name: leave these out with -x)
  -x            leave privileges out
  -r            load partitions through their topmost table: for hash partitions whose
                rows belong elsewhere on the target, as with enum keys
  -c            check the backup's files, restore nothing
  -?, --help    this text

Passwords come from PGPASSWORD or ~/.pgpass; nothing is asked for. All PG* variables work as with psql.
Exit status: 0 done, 1 failed, 2 usage, 10 the backup is unfinished, 20 damage found.
EOF
}

say() { printf 'restore.sh: %s\n' "$*"; }
warn() { printf 'restore.sh: warning: %s\n' "$*" >&2; }

fail() { # status message
  printf 'restore.sh: error: %s\n' "$2" >&2
  exit "$1"
}

# --- arguments

database='' jobs='' only_checking=no through_root=no mode=single number_asked=''
connection=() server=() archive_options=() list_options=()

read_arguments() {
  local option
  local words=()
  for option; do
    case $option in
      --help) usage; exit 0 ;;
      --all) words+=(-a) ;;
      --globals) words+=(-g) ;;
      *) words+=("$option") ;;
    esac
  done
  set -- "${words[@]}"
  while getopts ':d:h:p:U:j:n:aglOxrc' option; do
    case $option in
      d) database=$OPTARG ;;
      h) server+=("--host=$OPTARG") ;;
      p) server+=("--port=$OPTARG") ;;
      U) server+=("--username=$OPTARG") ;;
      n) number_asked=$OPTARG ;;
      a) mode=all ;;
      g) mode=globals ;;
      l) mode=list ;;
      j) jobs=$OPTARG ;;
      O) archive_options+=(--no-owner) ;;
      x) archive_options+=(--no-privileges) ;;
      r) through_root=yes ;;
      c) only_checking=yes ;;
      :) fail $status_usage "option -$OPTARG needs a value" ;;
      *)
        if [[ $OPTARG == '?' ]]; then usage; exit 0; fi
        fail $status_usage "there is no option -$OPTARG; see --help"
        ;;
    esac
  done
  shift $((OPTIND - 1))
  (($# == 0)) || fail $status_usage 'there are only options; see --help'
  [[ -z $jobs || $jobs =~ ^[1-9][0-9]{0,2}$ ]] || fail $status_usage 'JOBS is a number from 1 to 999'
  [[ -z $number_asked || $number_asked =~ ^[1-9][0-9]{0,8}$ ]] || fail $status_usage 'NUMBER is a number that -l lists'
  [[ $mode == single || -z $number_asked ]] || fail $status_usage '-n does not go with -a, -g and -l'
  if [[ $mode == all || $mode == globals ]]; then
    database=${database:-postgres}
    [[ $database != *[=:]* ]] || fail $status_usage 'with -a and -g, -d is the plain name of a database; use -h, -p, -U or PG* variables for the server'
  fi
  [[ -n $database || $only_checking == yes || $mode == list ]] || fail $status_usage 'name the target with -d DATABASE'
  connect_to "$database"
}

connect_to() { connection=(--no-password "--dbname=$1" "${server[@]}"); }

# --- what the backup says about itself

# KEY=value lines. Each value is taken only if it has the form its key asks for; unknown keys are passed over.
next_attempt='drop the target and begin anew'

declare -A config=() config_form=(
  [FORMAT]='^1$'
  [DATABASES]='^[1-9][0-9]{0,8}$'
  [GLOBALS]='^[A-Za-z0-9._/-]*$'
  [ENCODING]='^[A-Za-z0-9_]+$'
  [CHECKSUM]='^(xxh3-128|sha256)$'
  [JOBS]='^[1-9][0-9]{0,2}$'
  [SERVER_MAJOR]='^[1-9][0-9]{0,2}$'
  [PG_DUMP_MAJOR]='^[1-9][0-9]{0,2}$'
  [SCHEMA]='^[A-Za-z0-9._/-]+$'
  [LARGE_OBJECTS]='^(0|[1-9][0-9]{0,15})$'
  [LARGE_OBJECT_SEGMENTS]='^(0|[1-9][0-9]{0,15})$'
  [OWNERS]='^(yes|no)$'
  [PRIVILEGES]='^(yes|no)$'
  [DEFINITIONS]='^(yes|no)$'
  [OUTWARD]='^([0-9]+:[0-9]+( [0-9]+:[0-9]+)*)?$'
  [OUTWARD_CHILDREN]='^([0-9]+( [0-9]+)*)?$'
  [SCHEMAS]='^(yes|no)$'
  [SEGMENTS]='^(0|[1-9][0-9]{0,15})$'
  [ROWS]='^(0|[1-9][0-9]{0,15})$'
)

read_config() { # file keys...
  local file=$1 key value
  local -A wanted=()
  shift
  for key; do
    wanted[$key]=yes
    unset "config[$key]"
  done
  while IFS='=' read -r key value; do
    [[ -n $key && -n ${wanted[$key]-} ]] || continue
    [[ $value =~ ${config_form[$key]} ]] || fail $status_damaged "$file: $key has a value of a wrong form"
    config[$key]=$value
  done <"$file"
  for key; do
    [[ -n ${config[$key]+set} ]] || fail $status_damaged "$file: $key is missing"
  done
}

# From here on all is about the database of this number.
enter_database() { # number
  local path
  folder=restore/$(printf '%04d' "$1")
  check_path "$folder/config"
  read_config "$folder/config" ENCODING SCHEMA LARGE_OBJECTS LARGE_OBJECT_SEGMENTS OWNERS PRIVILEGES DEFINITIONS OUTWARD OUTWARD_CHILDREN SCHEMAS SEGMENTS ROWS
  kit_files=("$folder"/{config,name,exists.sql,segments.tsv,statements.sql,session.sql,finish.sql,checksums})
  ((config[LARGE_OBJECTS] == 0)) || kit_files+=("$folder"/large-objects.tsv "$folder"/large-objects-{create,write,set}-{begin,end}.sql)
  [[ ${config[DEFINITIONS]} == yes ]] || kit_files+=("$folder"/existing-{begin,end}.sql)
  [[ ${config[SCHEMAS]} == no ]] || kit_files+=("$folder/schemas.sql")
  for path in "${kit_files[@]}" "${config[SCHEMA]}"; do check_path "$path"; done
  next_attempt='drop the target and begin anew'
  if [[ ${config[DEFINITIONS]} == no ]]; then
    next_attempt='empty the tables that were loaded'
    ((config[LARGE_OBJECTS] == 0)) || next_attempt+=', unlink the large objects that were created'
    next_attempt+=' and begin anew'
  fi
  title=''
  ((config[DATABASES] == 1)) || title=" of database $1"
}

list_databases() { cat restore/databases.tsv; }

# Numbers of the databases that are to be restored, or checked.
choose_databases() {
  local line
  numbers=()
  while IFS=$'\t' read -r line _; do
    [[ $line =~ ^[1-9][0-9]{0,8}$ ]] || fail $status_damaged 'restore/databases.tsv has a wrong form'
    numbers+=("$line")
  done <restore/databases.tsv
  ((${#numbers[@]} == config[DATABASES])) || fail $status_damaged 'restore/databases.tsv does not list all databases'
  if [[ $mode == globals ]]; then numbers=(); fi
  if [[ $mode == all || $mode == globals ]]; then
    [[ -n ${config[GLOBALS]} ]] || fail $status_usage 'this is no backup of a cluster: there is nothing for -a and -g'
  elif [[ -n $number_asked ]]; then
    [[ " ${numbers[*]} " == *" $number_asked "* ]] || fail $status_usage "there is no database $number_asked; see -l"
    numbers=("$number_asked")
  elif [[ $only_checking == no && $mode == single ]] && ((${#numbers[@]} > 1)); then
    fail $status_usage "the backup holds ${#numbers[@]} databases: choose one with -n, or all with -a; see -l"
  fi
}

# A path may only lead to a file of this directory, and not through a link.
check_path() { # path
  local part=$1
  [[ $1 =~ ^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$ && /$1/ != */./* && /$1/ != */../* ]] || fail $status_damaged "the path $1 leaves the backup"
  while [[ ! -L $part ]]; do
    [[ $part == */* ]] || break
    part=${part%/*}
  done
  [[ ! -L $part ]] || fail $status_damaged "$part is a symbolic link"
  [[ -f $1 ]] || fail $status_damaged "$1 is missing"
}

# file, offset, stored bytes, codec, statement's offset and length, rows, offset and length of the statement for the topmost table
readonly number='(0|[1-9][0-9]{0,15})'
readonly segment_form="^([A-Za-z0-9._/-]+)"$'\t'"$number"$'\t'"$number"$'\t'"(zstd|lz4|gzip|none)"$'\t'"$number"$'\t'"$number"$'\t'"$number"$'\t'"$number"$'\t'"$number\$"

declare -A file_end=() codecs=([zstd]=yes)

note_segment() { # file offset stored-bytes codec
  local end=$(($2 + $3))
  codecs[$4]=yes
  ((end > ${file_end[$1]:--1})) && file_end[$1]=$end
}

read_segments() {
  local line count=0 rows=0
  file_end=()
  while IFS= read -r line; do
    [[ $line =~ $segment_form ]] || fail $status_damaged "$folder/segments.tsv: line $((count + 1)) has a wrong form"
    count=$((count + 1)) rows=$((rows + BASH_REMATCH[7]))
    note_segment "${BASH_REMATCH[@]:1:4}"
  done <"$folder/segments.tsv"
  [[ $count == "${config[SEGMENTS]}" && $rows == "${config[ROWS]}" ]] || fail $status_damaged "$folder/segments.tsv does not hold all segments"
}

# stream, file, offset, stored bytes, codec, rows
readonly large_object_form="^(content|metadata)"$'\t'"([A-Za-z0-9._/-]+)"$'\t'"$number"$'\t'"$number"$'\t'"(zstd|lz4|gzip|none)"$'\t'"$number\$"

read_large_object_segments() {
  local line count=0 objects=0
  while IFS= read -r line; do
    [[ $line =~ $large_object_form ]] || fail $status_damaged "$folder/large-objects.tsv: line $((count + 1)) has a wrong form"
    count=$((count + 1))
    [[ ${BASH_REMATCH[1]} == metadata ]] && objects=$((objects + BASH_REMATCH[6]))
    note_segment "${BASH_REMATCH[@]:2:4}"
  done <"$folder/large-objects.tsv"
  [[ $count == "${config[LARGE_OBJECT_SEGMENTS]}" && $objects == "${config[LARGE_OBJECTS]}" ]] ||
    fail $status_damaged "$folder/large-objects.tsv does not hold all segments"
}

# --- tools

have() { type -P "$1" >/dev/null; }

# True when a version printed by a tool is not below the lowest one. Pattern: what stands before the version, and two numbers to capture.
is_at_least() { # text pattern major minor
  [[ $1 =~ $2 ]] && ((BASH_REMATCH[1] > $3 || BASH_REMATCH[1] == $3 && BASH_REMATCH[2] >= $4))
}

check_coder() { # tool lowest-major lowest-minor
  have "$1" || fail $status_failed "$1 is not installed"
  is_at_least "$("$1" --version 2>&1)" '([0-9]+)\.([0-9]+)' "$2" "$3" || fail $status_failed "$1 is older than $2.$3"
}

major_of() { # tool
  have "$1" || fail $status_failed "$1 is not installed"
  [[ $("$1" --version) =~ \)\ ([0-9]+) ]] || fail $status_failed "$1 does not tell its version"
  printf '%s' "${BASH_REMATCH[1]}"
}

check_tools() {
  local major
  ((BASH_VERSINFO[0] > 4 || BASH_VERSINFO[0] == 4 && BASH_VERSINFO[1] >= 4)) || fail $status_failed 'bash is older than 4.4'
  cut_bytes /dev/null 0 0 2>/dev/null || fail $status_failed "dd is not that of GNU coreutils 8.24 or later"
  if [[ -n ${codecs[zstd]-} ]]; then check_coder zstd 1 0; fi
  if [[ -n ${codecs[lz4]-} ]]; then check_coder lz4 1 8; fi
  if [[ -n ${codecs[gzip]-} ]]; then check_coder gzip 1 3; fi
  [[ $only_checking == no ]] || return 0
  major=$(major_of psql) || exit
  ((major >= 11)) || fail $status_failed "psql $major is older than 11"
  restore_major=$(major_of pg_restore) || exit
  ((restore_major >= config[PG_DUMP_MAJOR])) || fail $status_failed "pg_restore $restore_major cannot read what pg_dump ${config[PG_DUMP_MAJOR]} wrote"
}

# --- is the backup what was written?

check_sizes() {
  local size path end
  ((${#file_end[@]} > 0)) || return 0
  for path in "${!file_end[@]}"; do check_path "$path"; done
  while read -r size path; do
    [[ $path == total ]] && continue
    end=${file_end[${path#./}]}
    ((size >= end)) || fail $status_damaged "${path#./} has $size bytes, its segments end at $end"
  done < <(printf './%s\0' "${!file_end[@]}" | wc -c --files0-from=-)
}

check_own_files() {
  local path digest line chosen
  local -A listed=()
  if ! have sha256sum; then
    warn 'sha256sum is not installed: the manifest, the schema and restore/ are not checked'
    return
  fi
  line=$(<manifest.sha256)
  [[ $line =~ ^[0-9a-f]{64}\ \ manifest\.json$ ]] || fail $status_damaged 'manifest.sha256 is not a checksum line'
  while read -r digest path; do listed[${path:-none}]=$digest; done <restore/sha256sums
  for path in restore.sh restore/{config,databases.tsv} ${config[GLOBALS]:+"${config[GLOBALS]}"}; do expect_listed "$path"; done
  for chosen in "${numbers[@]}"; do
    enter_database "$chosen"
    for path in "${kit_files[@]}" "${config[SCHEMA]}"; do expect_listed "$path"; done
  done
  sha256sum --check --quiet --strict manifest.sha256 restore/sha256sums || fail $status_damaged 'the backup is not what was written'
}

expect_listed() { [[ -n ${listed[$1]-} ]] || fail $status_damaged "restore/sha256sums does not list $1"; } # path; `listed` is the caller's

check_data_files() {
  local tool
  [[ -s $folder/checksums ]] || return 0
  if [[ ${config[CHECKSUM]} == sha256 ]]; then
    tool=(sha256sum --check --quiet --strict)
  else
    tool=(xxhsum --check --quiet --strict)
  fi
  if ! have "${tool[0]}"; then
    warn "${tool[0]} is not installed: the data files' checksums are not checked; their sizes are, and codec checks and row counts follow while they are loaded"
    return
  fi
  if [[ ${tool[0]} == xxhsum ]] && ! is_at_least "$(xxhsum --version 2>&1)" '([0-9]+)\.([0-9]+)' 0 8; then
    warn 'xxhsum is older than 0.8 and does not know XXH3-128: the data files'"'"' checksums are not checked'
    return
  fi
  say "checking the data files$title"
  "${tool[@]}" "$folder/checksums" || fail $status_damaged 'a data file is not what was written'
}

unpack_schema() {
  zstd -dcq <"${config[SCHEMA]}" >"$work/schema.dump" || fail $status_damaged "${config[SCHEMA]} cannot be unpacked"
  [[ $only_checking == yes ]] && return
  pg_restore --list "$work/schema.dump" >/dev/null || fail $status_failed "pg_restore $restore_major cannot read the schema archive"
}

# --- the target

run_psql() { psql --no-psqlrc --quiet --no-align --tuples-only --set=ON_ERROR_STOP=1 "${connection[@]}" "$@"; }

check_server() {
  local version
  version=$(run_psql --command='SHOW server_version_num') || fail $status_failed 'the target cannot be reached'
  [[ $version =~ ^[0-9]+$ ]] || fail $status_failed 'the target does not tell its version'
  target_major=$((version / 10000))
}

check_target() {
  local facts
  facts=$(
    run_psql --file=- <<'EOF'
SELECT pg_catalog.current_setting('server_version_num'), pg_catalog.current_setting('server_encoding'), pg_catalog.count(c.oid),
  (SELECT pg_catalog.count(*) FROM pg_catalog.pg_largeobject_metadata)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e');
EOF
  ) || fail $status_failed 'the target cannot be reached'
  [[ $facts =~ ^([0-9]+)\|([A-Za-z0-9_]+)\|([0-9]+)\|([0-9]+)$ ]] || fail $status_failed 'the target does not tell its version'
  target_major=$((BASH_REMATCH[1] / 10000))
  ((target_major >= 13)) || fail $status_failed "the target is PostgreSQL $target_major, older than 13"
  ((BASH_REMATCH[3] == 0)) || [[ ${config[DEFINITIONS]} == no ]] || fail $status_failed "the target already holds ${BASH_REMATCH[3]} relations; restore into an empty database"
  ((BASH_REMATCH[4] == 0)) || [[ ${config[DEFINITIONS]} == no ]] || fail $status_failed "the target already holds ${BASH_REMATCH[4]} large objects; restore into an empty database"
  [[ ${BASH_REMATCH[2]} == "${config[ENCODING]}" ]] || warn "the target's encoding is ${BASH_REMATCH[2]}, the backup's ${config[ENCODING]}: text is converted"
  ((target_major >= config[SERVER_MAJOR])) || warn "the target is PostgreSQL $target_major, older than the source (${config[SERVER_MAJOR]})"
}

# --- roles, tablespaces and databases

# A server may speak any language: what psql reports is known by its SQLSTATE. Psql's own errors have none.
readonly report_form='^psql:<stdin>:[0-9]+: [^:]+:  ([0-9A-Z]{5}): (.*)$'

# Reads what psql reported of a script that it ran past its errors, and fails unless each of them is of the one kind that is accepted.
check_reports() { # log accepted-SQLSTATE pattern-of-its-message words
  local line is_wrong=no
  while IFS= read -r line; do
    if [[ $line =~ $report_form ]]; then
      case ${BASH_REMATCH[1]} in
        00*) continue ;;
        01*)
          warn "${BASH_REMATCH[2]}"
          continue
          ;;
        "$2")
          if [[ ${BASH_REMATCH[2]} == *"$3"* ]]; then
            [[ -z $4 ]] || say "${BASH_REMATCH[2]}: $4"
            continue
          fi
          ;;
      esac
    fi
    [[ $line == 'psql:<stdin>:'* ]] || continue
    warn "${line#psql:<stdin>:}"
    is_wrong=yes
  done <"$1"
  rm -f "$1"
  [[ $is_wrong == no ]]
}

# Errors about what exists already are passed over, as pg_dumpall's own script is used: SQLSTATE 42710. Every other one ends the restore.
restore_globals() {
  say 'creating roles and tablespaces'
  zstd -dcq <"${config[GLOBALS]}" | run_psql --set=ON_ERROR_STOP=0 --set=VERBOSITY=verbose --output=/dev/null --file=- 2>"$work/reports" \
    || fail $status_failed "the roles and tablespaces could not be created: $(tail -n 1 "$work/reports")"
  check_reports "$work/reports" 42710 '' 'it gets what the backup says of it' || fail $status_failed 'the roles and tablespaces could not all be created'
}

readonly database_entry='^[0-9]+; [0-9]+ [0-9]+ (DATABASE|DATABASE PROPERTIES|(ACL|COMMENT|SECURITY LABEL) - DATABASE) '

readonly provider_form="^(CREATE DATABASE (\"([^\"]|\"\")*\"|[a-z_][a-z0-9_\$]*) WITH TEMPLATE = template0( ENCODING = '[^']*')?) LOCALE_PROVIDER = libc(.*)\$"

# pg_dump names the one provider that servers before 15 have, which do not know it by a name.
print_creation() { # statement
  if ((target_major < 15)) && [[ $1 =~ $provider_form ]]; then
    printf '%s%s\n' "${BASH_REMATCH[1]}" "${BASH_REMATCH[5]}"
  else
    printf '%s\n' "$1"
  fi
}

# The statement that creates a database and those that follow up to its first property stand one a line.
adapt_database_script() { # yes where the database exists
  local line
  while IFS= read -r line; do
    case $line in
      'SET transaction_timeout = 0;') ((target_major < 17)) || printf '%s\n' "$line" ;;
      'CREATE DATABASE '*) [[ $1 == yes ]] || print_creation "$line" ;;
      '' | '--'* | 'SET '* | 'SELECT pg_catalog.set_config('* | '\'* | 'ALTER DATABASE '*' OWNER TO '*) printf '%s\n' "$line" ;;
      *)
        printf '%s\n' "$line"
        break
        ;;
    esac
  done
  drop_unknown_setting
}

does_exist() {
  local count
  count=$(run_psql --file="$folder/exists.sql") || fail $status_failed 'the target cannot be reached'
  [[ $count == 1 ]]
}

# Databases that exist already must be empty: postgres and template1 do on every server.
check_existing() {
  local chosen
  for chosen in "${numbers[@]}"; do
    enter_database "$chosen"
    does_exist || continue
    connect_to "$(<"$folder/name")"
    check_target
    connect_to "$database"
  done
}

create_database() {
  local line exists=no
  if does_exist; then exists=yes; fi
  pg_restore --create --list "$work/schema.dump" >"$work/all.list" || fail $status_failed "pg_restore $restore_major cannot read the schema archive"
  while IFS= read -r line; do
    if [[ $line =~ $database_entry ]]; then printf '%s\n' "$line"; fi
  done <"$work/all.list" >"$work/database.list"
  # The settings of a newer pg_restore that the server does not know come anew after each \connect: no line of a script is taken out where it may be a part of a text.
  pg_restore --create --use-list="$work/database.list" --file=- "$work/schema.dump" | adapt_database_script "$exists" \
    | run_psql --set=ON_ERROR_STOP=$((target_major >= 17)) --set=VERBOSITY=verbose --output=/dev/null --file=- 2>"$work/reports" \
    || fail $status_failed "the database could not be created$title: $(<"$work/reports")"
  check_reports "$work/reports" 42704 '"transaction_timeout"' '' || fail $status_failed "the database could not be created$title"
}

# --- schema

# pg_restore of 17 and later begins with a SET that older servers refuse. Only that line of the fixed prologue is dropped; then all bytes pass.
drop_unknown_setting() {
  local line
  while IFS= read -r line; do
    case $line in
      'SET transaction_timeout = 0;') ((target_major < 17)) || printf '%s\n' "$line" ;;
      '' | '--'* | 'SET '* | 'SELECT pg_catalog.set_config('* | '\restrict '*) printf '%s\n' "$line" ;;
      *)
        printf '%s\n' "$line"
        break
        ;;
    esac
  done
  cat
}

restore_archive() { # archive jobs options...
  local archive=$1 archive_jobs=$2
  shift 2
  if ((restore_major >= 17 && target_major < 17)); then
    pg_restore --file=- "${archive_options[@]}" "$@" "$archive" | drop_unknown_setting | run_psql --output=/dev/null --file=-
  elif ((archive_jobs > 1)); then
    pg_restore --exit-on-error --jobs="$archive_jobs" "${connection[@]}" "${archive_options[@]}" "$@" "$archive"
  else
    pg_restore --exit-on-error "${connection[@]}" "${archive_options[@]}" "$@" "$archive"
  fi
}

# Of a part of a database: what needs a relation that is outside cannot be made, nor what needs that in turn, and a schema that was named may exist already. The
# list tells each by the OIDs of its catalog and its own, and what depends on it, never by a name.
list_entries() {
  local line id oid key child present='' is_changing=yes has_left=no
  local ids=() index_attach=()
  local -A lines=() needs=() id_of=() left_out=() is_table=() attach_of=()
  list_options=()
  if [[ ${config[SCHEMAS]} == yes ]]; then
    present=$(run_psql --file="$folder/session.sql" --file="$folder/schemas.sql") || fail $status_failed 'the target cannot be reached'
  fi
  [[ -n ${config[OUTWARD]} || -n ${config[OUTWARD_CHILDREN]} || -n $present ]] || return 0
  pg_restore --list --verbose "$work/schema.dump" >"$work/all.list" || fail $status_failed "pg_restore $restore_major cannot read the schema archive"
  while IFS= read -r line; do
    if [[ $line =~ $entry_form ]]; then
      id=${BASH_REMATCH[1]}
      ids+=("$id")
      lines[$id]=$line needs[$id]='' id_of[${BASH_REMATCH[2]}:${BASH_REMATCH[3]}]=$id
      if [[ $line =~ $table_form ]]; then is_table[$id]=yes; fi
    elif [[ $line =~ $needs_form ]]; then
      needs[$id]=${BASH_REMATCH[1]}
    fi
  done <"$work/all.list"
  for key in ${config[OUTWARD]}; do
    [[ -z ${id_of[$key]-} ]] || left_out[${id_of[$key]}]=yes
  done
  # A partition stands alone where it is not attached; its indexes have nothing to be attached to.
  for id in "${ids[@]}"; do
    [[ ${lines[$id]} =~ $attach_form ]] || continue
    # No other table that the entry names needs the partition. For what is not in the archive it names that one's own parents, in any order.
    child=none
    for oid in ${needs[$id]}; do
      [[ -n ${is_table[$oid]-} ]] || continue
      if [[ $child == none || " ${needs[$oid]} " == *" $child "* ]]; then child=$oid; fi
    done
    if [[ ${BASH_REMATCH[1]} == TABLE ]]; then attach_of[$child]=$id; else index_attach+=("$id $child"); fi
  done
  for oid in ${config[OUTWARD_CHILDREN]}; do
    id=${id_of[1259:$oid]-}
    [[ -n $id ]] || continue
    [[ -n ${attach_of[$id]-} ]] || fail $status_failed "a table inherits from one that is not in this backup: ${lines[$id]#*; }; only dbbackup leaves it out"
    left_out[${attach_of[$id]}]=yes
  done
  for key in "${index_attach[@]}"; do
    read -r id oid <<<"$key"
    [[ -z ${left_out[${attach_of[$oid]:-none}]-} ]] || left_out[$id]=yes
  done
  while [[ $is_changing == yes ]]; do
    is_changing=no
    for id in "${ids[@]}"; do
      [[ -z ${left_out[$id]-} ]] || continue
      for oid in ${needs[$id]}; do
        [[ -n ${left_out[$oid]-} ]] || continue
        left_out[$id]=yes is_changing=yes
        break
      done
    done
  done
  for id in "${ids[@]}"; do
    if [[ -n ${left_out[$id]-} ]]; then
      [[ ${lines[$id]} =~ $quiet_form ]] || warn "left out, since it needs what is not in this backup: ${lines[$id]#*; }"
      has_left=yes
    fi
  done
  for oid in $present; do
    [[ $oid =~ ^[0-9]+$ && -n ${id_of[2615:$oid]-} ]] || continue
    left_out[${id_of[2615:$oid]}]=yes has_left=yes
  done
  [[ $has_left == yes ]] || return 0
  for id in "${ids[@]}"; do
    [[ -n ${left_out[$id]-} ]] || printf '%s\n' "${lines[$id]}"
  done >"$work/wanted.list"
  list_options=(--use-list="$work/wanted.list")
}

readonly entry_form='^([0-9]+); ([0-9]+) ([0-9]+) ' needs_form='^;[[:space:]]+depends on:(( [0-9]+)+)'
readonly key_form='^([0-9]+); [0-9]+ [0-9]+ FK CONSTRAINT ' comment_form='^[0-9]+; [0-9]+ [0-9]+ COMMENT '
readonly table_form='^[0-9]+; 1259 [0-9]+ (FOREIGN )?TABLE ' attach_form='^[0-9]+; [0-9]+ [0-9]+ (TABLE|INDEX) ATTACH ' index_attach_form='^[0-9]+; [0-9]+ [0-9]+ INDEX ATTACH '
# What goes without saying.
readonly quiet_form='^[0-9]+; [0-9]+ [0-9]+ (COMMENT|ACL|SECURITY LABEL|INDEX ATTACH) '

# Foreign keys come last where indexes are attached to those of partitioned tables: the two take locks in different orders, and connections of pg_restore would run
# into a deadlock.
restore_post_data() {
  local line id need entry='' list=early has_attached=no
  local -A wanted=() keys=()
  if ((jobs > 1)); then
    pg_restore --list --verbose "$work/schema.dump" >"$work/all.list" || return 1
    while IFS= read -r line; do
      if [[ $line =~ $index_attach_form ]]; then has_attached=yes; fi
      if [[ $line =~ $key_form ]]; then keys[${BASH_REMATCH[1]}]=yes; fi
    done <"$work/all.list"
  fi
  if [[ $has_attached == no ]] || ((${#keys[@]} == 0)); then
    restore_archive "$work/schema.dump" "$jobs" --section=post-data "${list_options[@]}"
    return
  fi
  # What list_entries has left out stays out.
  if ((${#list_options[@]} > 0)); then
    while IFS= read -r line; do wanted[${line%%;*}]=yes; done <"$work/wanted.list"
  fi
  : >"$work/early.list"
  : >"$work/keys.list"
  while IFS= read -r line; do
    if [[ $line =~ $entry_form ]]; then
      [[ -z $entry ]] || printf '%s\n' "$entry" >>"$work/$list.list"
      entry=$line list=early id=${BASH_REMATCH[1]}
      if [[ -n ${keys[$id]-} ]]; then list=keys; fi
      if ((${#list_options[@]} > 0)) && [[ -z ${wanted[$id]-} ]]; then entry=''; fi
    elif [[ $line =~ $needs_form && $entry =~ $comment_form ]]; then
      [[ $line =~ $needs_form ]]
      for need in ${BASH_REMATCH[1]}; do
        if [[ -n ${keys[$need]-} ]]; then list=keys; fi
      done
    fi
  done <"$work/all.list"
  [[ -z $entry ]] || printf '%s\n' "$entry" >>"$work/$list.list"
  restore_archive "$work/schema.dump" "$jobs" --section=post-data --use-list="$work/early.list" || return 1
  [[ ! -s $work/keys.list ]] || restore_archive "$work/schema.dump" "$jobs" --section=post-data --use-list="$work/keys.list"
}

# --- data

cut_bytes() { # file offset length
  dd if="$1" iflag=skip_bytes,count_bytes,fullblock bs=1M skip="$2" count="$3" status=none
}

decode_rows() { # file offset length codec
  (($3 > 0)) || return 0 # what nothing was stored for decodes to nothing, yet not every tool agrees
  case $4 in
    zstd) cut_bytes "$1" "$2" "$3" | zstd -dcq ;;
    lz4) cut_bytes "$1" "$2" "$3" | lz4 -dcq ;;
    gzip) cut_bytes "$1" "$2" "$3" | gzip -dcq ;;
    none) cut_bytes "$1" "$2" "$3" ;;
  esac
}

# psql takes COPY data from the script it is reading, to its end. So what follows COPY stands in a second script. It is written once all rows were decoded:
# if that fails there is no second script, nothing commits, and psql says so. The end of the data alone proves nothing, not even in binary.
write_verdict() { # rows
  cat <<EOF
\\set loaded_rows :ROW_COUNT
SELECT :loaded_rows = $1 AS is_complete \\gset
\\if :is_complete
COMMIT;
\\echo loaded
\\else
\\echo :loaded_rows
\\endif
EOF
}

load_segment() { # segment's number and fields
  local verdict=$work/verdict.$1 outcome status
  outcome=$(
    {
      cat "$folder/session.sql" &&
        printf '%s\n' 'BEGIN;' "$replica_statement" &&
        cut_bytes "$folder/statements.sql" "$6" "$7" &&
        decode_rows "$2" "$3" "$4" "$5" &&
        write_verdict "$8" >"$verdict"
    } | run_psql --file=- --file="$verdict"
  )
  status=$?
  rm -f "$verdict"
  if [[ $status == 0 && $outcome == loaded ]]; then
    printf '.' >>"$work/loaded"
    return
  fi
  : >"$work/failed"
  if [[ $status == 0 && $outcome =~ ^[0-9]+$ ]]; then
    warn "segment $1 ($2 from byte $3) holds $outcome rows instead of $8; none of them was kept"
  else
    warn "segment $1 ($2 from byte $3) was not loaded"
  fi
}

# A superuser loads without foreign keys and triggers: extensions' own tables, which may refer to one another, and tables that existed before, whose foreign keys
# are checked at the end. All other tables have none yet.
readonly replica_statement="SELECT pg_catalog.set_config('session_replication_role', 'replica', true) FROM pg_catalog.pg_roles WHERE rolname = current_user AND rolsuper \\g /dev/null"

load_data() {
  local line count=0 fields pids
  set -m # each job is a process group of its own, so that stopping it stops its psql too
  : >"$work/loaded"
  while IFS= read -r line <&3 && [[ ! -e $work/failed ]]; do
    count=$((count + 1))
    IFS=$'\t' read -r -a fields <<<"$line"
    if [[ $through_root == yes && ${fields[8]} != 0 ]]; then fields[4]=${fields[7]} fields[5]=${fields[8]}; fi
    load_segment "$count" "${fields[@]:0:7}" 3<&- </dev/null &
    while mapfile -t pids < <(jobs -rp) && ((${#pids[@]} >= jobs)); do wait -n; done
  done 3<"$folder/segments.tsv"
  wait
  # Each segment that committed left one byte: neither a lost status nor a killed process can pass for a success.
  count=$(wc -c <"$work/loaded")
  if [[ -e $work/failed || $count != "${config[SEGMENTS]}" ]]; then
    [[ $through_root == yes ]] || say 'where rows violate a partition constraint, option -r helps'
    fail $status_failed "$count of ${config[SEGMENTS]} segments$title were loaded; $next_attempt"
  fi
  set +m
}

# Rows into tables that exist: what must be true before they are loaded, and which foreign keys they violate. The scripts print a line for each that is wrong.
check_existing_tables() { # step message
  local found
  [[ ${config[DEFINITIONS]} == no ]] || return 0
  found=$(run_psql --file="$folder/session.sql" --file="$folder/existing-$1.sql") || fail $status_failed "the existing tables$title could not be checked"
  [[ -z $found ]] || fail $status_failed "$2$title: ${found//$'\n'/, }"
}

# pg_restore makes the target's own version of an extension, whatever the source had.
tell_extensions() {
  local told line
  [[ -e $folder/extensions.sql ]] || return 0
  told=$(run_psql --file="$folder/session.sql" --file="$folder/extensions.sql") || fail $status_failed "the extensions$title could not be compared"
  [[ -n $told ]] || return 0
  while IFS= read -r line; do warn "$line$title"; done <<<"$told"
}

# --- large objects

# What follows the rows, once they are known to be complete; as write_verdict.
write_large_object_verdict() { # step rows
  cat <<EOF
\\set loaded_rows :ROW_COUNT
SELECT :loaded_rows = $2 AS is_complete \\gset
\\if :is_complete
\\o /dev/null
EOF
  cat "$folder/large-objects-$1-end.sql"
  cat <<'EOF'
\o
\echo loaded
\else
\echo :loaded_rows
\endif
EOF
}

load_large_object_segment() { # segment's number, step, and fields
  local verdict=$work/verdict.$1 outcome status
  outcome=$(
    {
      cat "$folder/session.sql" &&
        printf '%s' "${large_object_switches[@]}" &&
        cat "$folder/large-objects-$2-begin.sql" &&
        decode_rows "$4" "$5" "$6" "$7" &&
        write_large_object_verdict "$2" "$8" >"$verdict"
    } | run_psql --file=- --file="$verdict"
  )
  status=$?
  rm -f "$verdict"
  if [[ $status == 0 && $outcome == loaded ]]; then
    printf '.' >>"$work/loaded"
    return
  fi
  : >"$work/failed"
  warn "segment $1 of the large objects ($4 from byte $5) was not loaded: ${outcome:-nothing} instead of $8 rows"
}

# All segments of a stream: the objects first, then what they contain, then whose they are.
load_large_object_stream() { # step stream
  local line count=0 wanted=0 fields pids
  set -m
  : >"$work/loaded"
  while IFS= read -r line <&3 && [[ ! -e $work/failed ]]; do
    count=$((count + 1))
    IFS=$'\t' read -r -a fields <<<"$line"
    [[ ${fields[0]} == "$2" ]] || continue
    wanted=$((wanted + 1))
    load_large_object_segment "$count" "$1" "${fields[@]}" 3<&- </dev/null &
    while mapfile -t pids < <(jobs -rp) && ((${#pids[@]} >= jobs)); do wait -n; done
  done 3<"$folder/large-objects.tsv"
  wait
  set +m
  count=$(wc -c <"$work/loaded")
  [[ ! -e $work/failed && $count == "$wanted" ]] || fail $status_failed "$count of $wanted segments of the large objects were loaded; $next_attempt"
}

create_large_objects() {
  large_object_switches=('')
  [[ " ${archive_options[*]} " == *' --no-owner '* ]] && large_object_switches+=($'SET dbbackup.without_owners TO on;\n')
  [[ " ${archive_options[*]} " == *' --no-privileges '* ]] && large_object_switches+=($'SET dbbackup.without_privileges TO on;\n')
  load_large_object_stream create metadata
}

load_large_objects() {
  load_large_object_stream write content
  load_large_object_stream set metadata
}

# --- all of it

clean_up() { rm -rf -- "$work"; }

stop() {
  local pid
  warn "stopped; $next_attempt"
  exec 2>/dev/null # bash would report each job
  for pid in $(jobs -rp); do kill -TERM -- "-$pid"; done
  exit "$1"
}

main() {
  local here=.
  read_arguments "$@"
  [[ ${BASH_SOURCE[0]} == */* ]] && here=${BASH_SOURCE[0]%/*}
  cd -P -- "${here:-/}" || fail $status_failed 'the directory of the backup cannot be entered'
  [[ -f manifest.json ]] || fail $status_unfinished 'there is no manifest.json: this backup is unfinished'
  work=$(mktemp -d) || fail $status_failed 'there is no room for temporary files'
  trap clean_up EXIT
  trap 'stop 130' INT
  trap 'stop 143' TERM

  local path chosen
  for path in manifest.json manifest.sha256 restore/{config,databases.tsv,sha256sums}; do check_path "$path"; done
  read_config restore/config FORMAT DATABASES GLOBALS CHECKSUM JOBS SERVER_MAJOR PG_DUMP_MAJOR
  [[ -z ${config[GLOBALS]} ]] || check_path "${config[GLOBALS]}"
  choose_databases
  if [[ $mode == list ]]; then list_databases; exit 0; fi
  check_own_files
  for chosen in "${numbers[@]}"; do
    enter_database "$chosen"
    read_segments
    ((config[LARGE_OBJECTS] == 0)) || read_large_object_segments
    check_tools
    check_sizes
    check_data_files
    if [[ $only_checking == no ]] && ((${#numbers[@]} > 1)); then continue; fi
    unpack_schema
    [[ $only_checking == no ]] || say "nothing wrong was found$title: ${config[SEGMENTS]} segments, ${config[ROWS]} rows, ${config[LARGE_OBJECTS]} large objects"
  done
  [[ $only_checking == no ]] || exit 0
  jobs=${jobs:-${config[JOBS]}}
  # A database may be set to begin its transactions as read-only.
  export PGOPTIONS="${PGOPTIONS-} -c default_transaction_read_only=off"

  if [[ $mode == all || $mode == globals ]]; then
    check_tools
    check_server
    check_existing
    restore_globals
  fi
  for chosen in "${numbers[@]}"; do
    enter_database "$chosen"
    if [[ $mode == all ]]; then
      unpack_schema
      connect_to "$database"
      create_database
      connect_to "$(<"$folder/name")"
    fi
    check_target
    restore_database
  done
  say 'done'
}

restore_database() {
  [[ ${config[OWNERS]} == yes ]] || archive_options+=(--no-owner)
  [[ ${config[PRIVILEGES]} == yes ]] || archive_options+=(--no-privileges)
  check_existing_tables begin 'rows cannot be loaded into the existing tables'
  list_entries
  say "creating tables$title"
  restore_archive "$work/schema.dump" 1 --section=pre-data "${list_options[@]}" || fail $status_failed "the tables could not be created$title"
  tell_extensions
  # Before the rows: a role that is missing or an OID that is taken shows at once.
  ((config[LARGE_OBJECTS] == 0)) || create_large_objects
  say "loading ${config[ROWS]} rows in ${config[SEGMENTS]} segments$title, $jobs at a time"
  load_data
  if ((config[LARGE_OBJECTS] > 0)); then
    say "loading ${config[LARGE_OBJECTS]} large objects$title"
    load_large_objects
  fi
  say "creating indexes and constraints$title"
  restore_post_data || fail $status_failed "an index or constraint could not be created$title"
  say "setting sequences, refreshing materialized views, analysing$title"
  run_psql --output=/dev/null --file="$folder/session.sql" --file="$folder/finish.sql" || fail $status_failed "the last steps failed$title"
  check_existing_tables end 'rows were loaded, and some have no referent'
}

main "$@"
