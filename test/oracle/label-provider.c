/*
 * A provider of security labels that takes every label of every object, as an extension of PostgreSQL PG_MAJOR. PostgreSQL itself comes with none that works everywhere, and the
 * headers of its server are a package that nothing else here needs; so what they declare of this is written down again.
 */
#include <string.h>

extern void register_label_provider(const char *provider, void (*check)(const void *object, const char *label));

/* Pg_abi_values of fmgr.h: what a library must agree on with the server. */
struct abi_values {
	int version;
	int max_arguments;
	int max_index_keys;
	int name_bytes;
	int is_float8_by_value;
#if PG_MAJOR >= 15
	char extra[32];
#endif
};

struct magic {
	int length;
	struct abi_values abi;
#if PG_MAJOR >= 18
	const char *name;
	const char *library_version;
#endif
};

const struct magic *Pg_magic_func(void)
{
	static struct magic magic;
	magic.length = sizeof(magic);
	magic.abi.version = PG_MAJOR * 100;
	magic.abi.max_arguments = 100;
	magic.abi.max_index_keys = 32;
	magic.abi.name_bytes = 64;
	magic.abi.is_float8_by_value = 1;
#if PG_MAJOR >= 15
	strcpy(magic.abi.extra, "PostgreSQL");
#endif
	return &magic;
}

static void accept_label(const void *object, const char *label)
{
	(void) object;
	(void) label;
}

void _PG_init(void)
{
	register_label_provider("tests", accept_label);
}
