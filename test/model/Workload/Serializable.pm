# Transactions on lists, all of them SERIALIZABLE: also those that only read, which then
# run at the primary as a whole.

package Workload::Serializable;

use strict;
use warnings FATAL => 'all';

use Workload::Append;
use parent -norequire, 'Workload::Append';

sub isolation { return 'SERIALIZABLE'; }

# a statement by itself would be READ COMMITTED
sub always_block { return 1; }

sub model { return 'serializable'; }

1;
