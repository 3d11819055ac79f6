#include "model/usage.h"
