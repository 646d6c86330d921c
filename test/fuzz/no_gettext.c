/*
 * no_gettext.c
 *	  Messages are never translated, and no lock is taken for that.
 *
 * To be preloaded behind libasan, which as a preloaded library initializes itself
 * so early that glibc's lock of translations is released without having been
 * taken: bindtextdomain() then waits for ever (seen with GCC 12, glibc 2.36).
 */

extern char *bindtextdomain(const char *domain, const char *dir);
extern char *bind_textdomain_codeset(const char *domain, const char *codeset);
extern char *textdomain(const char *domain);
extern char *gettext(const char *message);
extern char *dgettext(const char *domain, const char *message);
extern char *dcgettext(const char *domain, const char *message, int category);
extern char *ngettext(const char *one, const char *many, unsigned long n);
extern char *dngettext(const char *domain, const char *one, const char *many, unsigned long n);

char *
bindtextdomain(const char *domain, const char *dir)
{
	return (char *) dir;
}

char *
bind_textdomain_codeset(const char *domain, const char *codeset)
{
	return (char *) codeset;
}

char *
textdomain(const char *domain)
{
	return (char *) domain;
}

char *
gettext(const char *message)
{
	return (char *) message;
}

char *
dgettext(const char *domain, const char *message)
{
	return (char *) message;
}

char *
dcgettext(const char *domain, const char *message, int category)
{
	return (char *) message;
}

char *
ngettext(const char *one, const char *many, unsigned long n)
{
	return (char *) (n == 1 ? one : many);
}

char *
dngettext(const char *domain, const char *one, const char *many, unsigned long n)
{
	return (char *) (n == 1 ? one : many);
}
