/*-------------------------------------------------------------------------
 *
 * settings_report.h
 *	  Which settings a session has, told to who serves a client over it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CONSISTENCY_SETTINGS_REPORT_H
#define CONSISTENCY_SETTINGS_REPORT_H

/* Setting it to "on" asks for the report, which is then its value. */
#define SETTINGS_REPORT_NAME "consistency.session_settings"

typedef enum ReportedKind
{
	REPORTED_SESSION = '=',		/* set for the session */
	REPORTED_LOCAL = '!',		/* up to the end of the transaction */
	REPORTED_BOTH = '&',		/* that, and another value for the session */
	REPORTED_LOGIN = '@',		/* the login's or the database's own */
} ReportedKind;

/* One setting; strings are palloc'd */
typedef struct ReportedSetting
{
	ReportedKind kind;
	char	   *name;
	char	   *value;
	char	   *session_value;	/* what REPORTED_BOTH leaves behind */
} ReportedSetting;

extern void settings_report_init(void);
extern void settings_report_touch(void);
extern bool settings_report_asked(void);
extern bool settings_report_next(const char **report, ReportedSetting *setting);

#endif							/* CONSISTENCY_SETTINGS_REPORT_H */
